/* SPDX-License-Identifier: MIT */
#include "devices/virtio/net.h"
#include "base/memory.h"
#include "devices/virtio/net_packet.h"

/* 5.1.3 */
#define FEATURE_CSUM BIT(0)
#define FEATURE_GUEST_CSUM BIT(1)
#define FEATURE_MTU BIT(3)
#define FEATURE_MAC BIT(5)
#define FEATURE_GUEST_TSO4 BIT(7)
#define FEATURE_GUEST_TSO6 BIT(8)
#define FEATURE_HOST_TSO4 BIT(11)
#define FEATURE_HOST_TSO6 BIT(12)
#define FEATURE_MRG_RXBUF BIT(15)
#define FEATURE_STATUS BIT(16)
#define FEATURE_CTRL_VQ BIT(17)
#define FEATURE_MQ BIT(22)

#define STATUS_LINK_UP 1

/* Before each frame: 5.1.6. */
struct net_header {
	struct net_offload offload;
	u16 buffers;
};
_Static_assert(sizeof(struct net_header) == 12, "the header of 1.0 and later");

/* 5.1.6.5 */
enum control { CONTROL_OK = 0, CONTROL_ERROR = 1, CONTROL_MQ = 4, CONTROL_MQ_PAIRS_SET = 0 };

static struct virtio_net *net_of(struct virtio *virtio)
{
	return container_of(virtio, struct virtio_net, virtio);
}

static unsigned index_of(const struct virtio_net *net, const struct virtqueue *queue)
{
	return (unsigned)(queue - net->virtio.queues);
}

/* The control queue lies behind the pairs: if several were not agreed on, behind the first. */
static unsigned control_index(const struct virtio_net *net)
{
	return virtio_has(&net->virtio, FEATURE_MQ) ? 2u * net->config.pairs_max : 2;
}

/* ---- to the outside ---- */

/* What a driver that has not agreed on offloads asks for, it does not get. */
static bool may_send(const struct virtio_net *net, const struct net_offload *offload, u32 bytes)
{
	u8 segmentation = offload->segmentation & ~NET_ECN;

	if (bytes < NET_HEADER_BYTES || !net_offload_is_good(offload, bytes))
		return false;
	if (offload->flags & NET_NEEDS_CHECKSUM && !virtio_has(&net->virtio, FEATURE_CSUM))
		return false;
	if (segmentation == NET_TCP4)
		return virtio_has(&net->virtio, FEATURE_HOST_TSO4);
	if (segmentation == NET_TCP6)
		return virtio_has(&net->virtio, FEATURE_HOST_TSO6);
	return true;
}

/* False: the place has no room. A frame that cannot be is dropped. */
static bool send_chain(struct virtio_net *net)
{
	static const struct net_offload nothing;
	u64 bytes = net->chain.readable_bytes - sizeof(struct net_header);
	struct net_header header;

	if (!virtqueue_read(&net->chain, 0, &header, sizeof(header)) ||
		bytes > sizeof(net->frame) ||
		!virtqueue_read(&net->chain, sizeof(header), net->frame, bytes) ||
		!may_send(net, &header.offload, (u32)bytes)) {
		net->dropped_frames++;
		return true;
	}
	/* What is to be cut and is not has its checksum as a whole: that is what the driver has begun. */
	if (!net->backend->can_offload)
		net_complete_checksum(&header.offload, net->frame, (u32)bytes);
	if (!net->backend->send(net->backend->context,
		    net->backend->can_offload ? &header.offload : &nothing, net->frame, (u32)bytes))
		return false;
	net->sent_frames++;
	net->sent_bytes += bytes;
	return true;
}

/* A frame that has no room stays in the ring. */
static void transmit(struct virtio_net *net, struct virtqueue *queue)
{
	struct virtio *virtio = &net->virtio;

	do {
		while (virtio_pop(virtio, queue, &net->chain)) {
			if (net->link_is_up && !send_chain(net)) {
				virtqueue_unpop(queue);
				virtio_publish(virtio, queue);
				return;
			}
			virtqueue_push(queue, net->chain.head, 0);
		}
	} while (virtio_is_running(virtio) && virtqueue_rearm(queue));
	virtio_publish(virtio, queue);
}

static void net_writable(void *device)
{
	struct virtio_net *net = device;

	for (unsigned pair = 0; pair < net->pairs; pair++)
		transmit(net, &net->virtio.queues[2 * pair + 1]);
}

/* ---- to the guest ---- */

/* Where one frame goes. */
struct delivery {
	struct virtqueue *queue;
	const u8 *frame;
	u32 bytes, done;
	unsigned chains;
};

/* The first chain begins with the header. False: it is too small for that, which no driver's is. */
static bool deliver_piece(
	struct virtio_net *net, struct delivery *delivery, const struct net_header *header)
{
	u64 room = net->chain.writable_bytes;
	u64 head = delivery->chains ? 0 : sizeof(*header);
	u64 piece;

	if (room < head + 1)
		return false;
	piece = MIN(room - head, delivery->bytes - delivery->done);
	if (head && !virtqueue_write(delivery->queue, &net->chain, 0, header, sizeof(*header)))
		return false;
	if (!virtqueue_write(
		    delivery->queue, &net->chain, head, delivery->frame + delivery->done, piece))
		return false;
	virtqueue_push(delivery->queue, net->chain.head, (u32)(head + piece));
	delivery->done += (u32)piece;
	delivery->chains++;
	return true;
}

/*
 * How many chains the frame takes; 0: there are not so many yet; ~0: it never fits. They are looked at and given back, since
 * the first one's header has their number.
 */
static unsigned count_chains(struct virtio_net *net, struct virtqueue *queue, u32 bytes)
{
	bool merges = virtio_has(&net->virtio, FEATURE_MRG_RXBUF);
	u64 wanted = bytes + sizeof(struct net_header), room = 0;
	unsigned count = 0;

	while (room < wanted && (merges || !count) &&
		virtio_pop(&net->virtio, queue, &net->chain)) {
		room += net->chain.writable_bytes;
		count++;
	}
	for (unsigned i = 0; i < count; i++)
		virtqueue_unpop(queue);
	if (room >= wanted)
		return count;
	return count && (!merges || count == queue->size) ? ~0u : 0;
}

static bool deliver(struct virtio_net *net, struct virtqueue *queue,
	const struct net_offload *offload, const u8 *frame, u32 bytes)
{
	struct delivery delivery = {.queue = queue, .frame = frame, .bytes = bytes};
	struct net_header header = {.offload = *offload};
	unsigned chains = count_chains(net, queue, bytes);

	if (!chains && virtio_is_running(&net->virtio) && virtqueue_rearm_for_more(queue))
		chains = count_chains(net, queue, bytes);
	if (!chains)
		return false;
	if (chains == ~0u) {
		net->dropped_frames++;
		return true;
	}
	header.buffers = (u16)chains;
	while (delivery.done < bytes && virtio_pop(&net->virtio, queue, &net->chain)) {
		if (!deliver_piece(net, &delivery, &header)) {
			virtio_needs_reset(&net->virtio, "a buffer too small for a header");
			return true;
		}
	}
	net->received_frames++;
	net->received_bytes += bytes;
	virtio_publish(&net->virtio, queue);
	return true;
}

/* What the driver has not agreed on to be told, it is not told. */
static struct net_offload told(const struct virtio_net *net, const struct net_offload *offload)
{
	struct net_offload result = *offload;

	if (net->backend->is_trusted && !(result.flags & NET_NEEDS_CHECKSUM))
		result.flags = NET_CHECKSUM_IS_GOOD;
	if (!virtio_has(&net->virtio, FEATURE_GUEST_CSUM))
		result.flags = 0;
	return result;
}

/* A guest that does not listen loses what comes: a wire holds nothing. */
static bool net_receive(void *device, const struct net_offload *offload, const u8 *frame, u32 bytes)
{
	struct virtio_net *net = device;
	struct net_offload header = told(net, offload);
	struct virtqueue *queue;

	if (!virtio_is_running(&net->virtio) || !net->link_is_up)
		return true;
	queue = &net->virtio.queues[2 * (net_flow(frame, bytes) % net->pairs)];
	if (!queue->is_enabled)
		return true;
	return deliver(net, queue, &header, frame, bytes);
}

/* ---- control ---- */

/* A change needs what is on its way to be let go: the place offers it again. */
static u8 obey(struct virtio_net *net, u8 class, u8 command)
{
	u16 pairs;

	if (class != CONTROL_MQ || command != CONTROL_MQ_PAIRS_SET ||
		!virtio_has(&net->virtio, FEATURE_MQ) ||
		!virtqueue_read(&net->chain, 2, &pairs, sizeof(pairs)))
		return CONTROL_ERROR;
	if (!pairs || pairs > net->config.pairs_max)
		return CONTROL_ERROR;
	net->pairs = pairs;
	return CONTROL_OK;
}

static void control(struct virtio_net *net, struct virtqueue *queue)
{
	struct virtio *virtio = &net->virtio;
	u8 words[2], answer;

	do {
		while (virtio_pop(virtio, queue, &net->chain)) {
			answer = virtqueue_read(&net->chain, 0, words, sizeof(words))
				? obey(net, words[0], words[1])
				: CONTROL_ERROR;
			virtqueue_push(queue, net->chain.head,
				virtqueue_write(queue, &net->chain, 0, &answer, 1));
		}
	} while (virtio_is_running(virtio) && virtqueue_rearm(queue));
	virtio_publish(virtio, queue);
}

static void net_kick(struct virtio *virtio, struct virtqueue *queue)
{
	struct virtio_net *net = net_of(virtio);
	unsigned index = index_of(net, queue);

	if (index == control_index(net))
		control(net, queue);
	else if (index & 1)
		transmit(net, queue);
	else
		net->backend->resume_input(net->backend->context);
}

static void net_set_link(void *device, bool is_up)
{
	struct virtio_net *net = device;

	if (is_up == net->link_is_up)
		return;
	net->link_is_up = is_up;
	net->config.status = is_up ? STATUS_LINK_UP : 0;
	virtio_config_changed(&net->virtio);
}

struct net_device virtio_net_device(struct virtio_net *net)
{
	return (struct net_device){net_receive, net_writable, net_set_link, net};
}

/* ---- life ---- */

/* What the driver has agreed on, the place may ask of it. */
static void net_started(struct virtio *virtio)
{
	struct net_backend *backend = net_of(virtio)->backend;

	if (backend->set_offload)
		backend->set_offload(backend->context, virtio_has(virtio, FEATURE_GUEST_CSUM),
			virtio_has(virtio, FEATURE_GUEST_TSO4),
			virtio_has(virtio, FEATURE_GUEST_TSO6));
}

static void net_reset(struct virtio *virtio)
{
	net_of(virtio)->pairs = 1;
}

static bool net_loaded(void *object)
{
	struct virtio_net *net = object;

	net->config.status = net->link_is_up ? STATUS_LINK_UP : 0;
	return net->pairs && net->pairs <= net->config.pairs_max;
}

static const struct state_field net_fields[] = {
	STATE_BLOB(struct virtio_net, config.address),
	STATE_UINT(struct virtio_net, pairs),
	STATE_FLAG(struct virtio_net, link_is_up),
	STATE_UINT(struct virtio_net, sent_frames),
	STATE_UINT(struct virtio_net, sent_bytes),
	STATE_UINT(struct virtio_net, received_frames),
	STATE_UINT(struct virtio_net, received_bytes),
	STATE_UINT(struct virtio_net, dropped_frames),
};
static const struct state_table net_state = STATE_TABLE("virtio-net", 1, net_fields, net_loaded);

static const struct virtio_ops net_ops = {
	.kind = "virtio-net",
	.type = VIRTIO_NET,
	.class_code = 0x020000, /* Ethernet */
	.kick = net_kick,
	.started = net_started,
	.reset = net_reset,
	.state = &net_state,
};

static u64 offered_features(const struct net_backend *backend)
{
	u64 features = FEATURE_CSUM | FEATURE_MAC | FEATURE_MRG_RXBUF | FEATURE_STATUS |
		FEATURE_CTRL_VQ | FEATURE_MQ;

	if (backend->can_offload)
		features |= FEATURE_GUEST_CSUM | FEATURE_GUEST_TSO4 | FEATURE_GUEST_TSO6;
	if (backend->can_offload || backend->takes_large)
		features |= FEATURE_HOST_TSO4 | FEATURE_HOST_TSO6;
	if (backend->is_trusted)
		features |= FEATURE_GUEST_CSUM;
	if (backend->mtu)
		features |= FEATURE_MTU;
	return features;
}

enum status virtio_net_init(struct virtio_net *net, struct virtio_parameters *common,
	const struct virtio_net_parameters *parameters)
{
	unsigned pairs = MIN(parameters->pairs, VIRTIO_NET_PAIRS_MAX);

	net->backend = parameters->backend;
	net->pairs = 1;
	net->link_is_up = parameters->backend->link_is_up;
	net->config.status = net->link_is_up ? STATUS_LINK_UP : 0;
	net->config.pairs_max = (u16)pairs;
	net->config.mtu = parameters->backend->mtu;
	memcpy(net->config.address, parameters->address, NET_ADDRESS_BYTES);
	common->queue_count = 2 * pairs + 1;
	common->queue_size = 256;
	common->features = offered_features(parameters->backend);
	common->config = &net->config;
	common->config_bytes = sizeof(net->config);
	common->object = net;
	return virtio_init(&net->virtio, &net_ops, common);
}

void virtio_net_fini(struct virtio_net *net)
{
	if (net->virtio.queues)
		virtio_fini(&net->virtio);
}
