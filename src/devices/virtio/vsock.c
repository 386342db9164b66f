/* SPDX-License-Identifier: MIT */
#include "devices/virtio/vsock.h"
#include "base/memory.h"
#include "core/trace.h"
#include "devices/virtio/vsock_connection.h"

#define FEATURE_STREAM BIT(0)
/* How many packets of one connection's data go before another one's turn comes. */
#define PIECES_IN_TURN 16
/* Where the numbers of the host's ends begin: above those that people give to services. */
#define FIRST_PORT 0x40000000

enum vsock_queue { QUEUE_RECEIVE, QUEUE_TRANSMIT, QUEUE_EVENT, QUEUES };
enum vsock_event { EVENT_TRANSPORT_RESET = 0 };

static struct virtio_vsock *vsock_of(struct virtio *virtio)
{
	return container_of(virtio, struct virtio_vsock, virtio);
}

/* ---- packets to the guest ---- */

static struct vsock_header header_of(
	struct vsock_connection *connection, enum vsock_operation operation, u32 bytes)
{
	struct vsock_header header = {.source_cid = VSOCK_HOST_CID,
		.target_cid = VSOCK_GUEST_CID,
		.source_port = connection->host_port,
		.target_port = connection->guest_port,
		.bytes = bytes,
		.type = VSOCK_STREAM,
		.operation = (u16)operation,
		.room = VSOCK_BUFFER_BYTES,
		.taken = connection->taken};

	if (operation == VSOCK_SHUTDOWN)
		header.flags = (connection->host_is_deaf ? VSOCK_SHUTDOWN_RECEIVE : 0) |
			(connection->host_ended ? VSOCK_SHUTDOWN_SEND : 0);
	connection->told_taken = connection->taken;
	connection->pending &= ~(1u << VSOCK_CREDIT);
	return header;
}

/* Whoever's turn it is; NULL: nobody has anything but data. */
static struct vsock_connection *next_pending(struct virtio_vsock *vsock)
{
	for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
		struct vsock_connection *connection =
			&vsock->connections[(vsock->next_turn + i) % VSOCK_CONNECTIONS_MAX];

		if (connection->pending)
			return connection;
	}
	return NULL;
}

static struct vsock_header take_pending(
	struct virtio_vsock *vsock, struct vsock_connection *connection)
{
	enum vsock_operation operation = (enum vsock_operation)__builtin_ctz(connection->pending);
	struct vsock_header header;

	connection->pending &= ~(1u << operation);
	header = header_of(connection, operation, 0);
	vsock->next_turn = connection_number(vsock, connection) + 1;
	if (operation == VSOCK_RESET)
		connection->state = VSOCK_FREE;
	return header;
}

static struct vsock_header take_reply(struct virtio_vsock *vsock)
{
	struct vsock_header reply = vsock->replies[vsock->reply_start];

	vsock->reply_start = (vsock->reply_start + 1) % VSOCK_REPLIES_MAX;
	vsock->reply_count--;
	return reply;
}

/* False: a buffer that no header fits into, which no driver's is. */
static bool give_packet(
	struct virtio_vsock *vsock, const struct vsock_header *header, const u8 *data)
{
	struct virtqueue *queue = &vsock->virtio.queues[QUEUE_RECEIVE];

	if (!virtqueue_write(queue, &vsock->chain, 0, header, sizeof(*header)) ||
		!virtqueue_write(queue, &vsock->chain, sizeof(*header), data, header->bytes)) {
		virtio_needs_reset(&vsock->virtio, "a buffer too small for a packet");
		return false;
	}
	virtqueue_push(queue, vsock->chain.head, (u32)sizeof(*header) + header->bytes);
	return true;
}

/* Takes a buffer of the guest's, after having asked to be told of the next one if there was none. */
static bool take_buffer(struct virtio_vsock *vsock)
{
	struct virtqueue *queue = &vsock->virtio.queues[QUEUE_RECEIVE];

	if (virtio_pop(&vsock->virtio, queue, &vsock->chain))
		return true;
	return virtio_is_running(&vsock->virtio) && virtqueue_rearm(queue) &&
		virtio_pop(&vsock->virtio, queue, &vsock->chain);
}

/* All that is no data, as far as the guest has buffers. */
static void flush(struct virtio_vsock *vsock)
{
	struct vsock_connection *connection = NULL;
	struct vsock_header header;

	while ((vsock->reply_count || (connection = next_pending(vsock))) && take_buffer(vsock)) {
		header = vsock->reply_count ? take_reply(vsock) : take_pending(vsock, connection);
		if (!give_packet(vsock, &header, NULL))
			break;
	}
	virtio_publish(&vsock->virtio, &vsock->virtio.queues[QUEUE_RECEIVE]);
}

/* ---- packets of the guest's ---- */

static void reply_reset(struct virtio_vsock *vsock, const struct vsock_header *header)
{
	unsigned at = (vsock->reply_start + vsock->reply_count) % VSOCK_REPLIES_MAX;

	if (header->operation == VSOCK_RESET)
		return;
	vsock->replies[at] = (struct vsock_header){.source_cid = VSOCK_HOST_CID,
		.target_cid = VSOCK_GUEST_CID,
		.source_port = header->target_port,
		.target_port = header->source_port,
		.type = header->type,
		.operation = VSOCK_RESET};
	vsock->reply_count++;
}

static void take_request(struct virtio_vsock *vsock, const struct vsock_header *header)
{
	struct vsock_connection *connection = connection_create(
		vsock, VSOCK_ASKING_HOST, header->source_port, header->target_port);

	if (!connection) {
		reply_reset(vsock, header);
		return;
	}
	connection->guest_room = header->room;
	connection->guest_taken = header->taken;
	if (vsock->backend->connect(vsock->backend->context, connection_number(vsock, connection),
		    header->target_port))
		return;
	connection->has_backend = false;
	connection_free(vsock, connection);
	reply_reset(vsock, header);
}

static void take_packet(struct virtio_vsock *vsock)
{
	struct vsock_connection *connection;
	struct vsock_header header;

	if (!virtqueue_read(&vsock->chain, 0, &header, sizeof(header)) ||
		header.bytes > vsock->chain.readable_bytes - sizeof(header) ||
		header.source_cid != VSOCK_GUEST_CID || header.target_cid != VSOCK_HOST_CID) {
		trace("vsock: a packet that is none, or not for the host");
		return;
	}
	connection = header.type == VSOCK_STREAM
		? connection_find(vsock, header.source_port, header.target_port)
		: NULL;
	if (connection)
		connection_take(vsock, connection, &header);
	else if (header.type == VSOCK_STREAM && header.operation == VSOCK_REQUEST)
		take_request(vsock, &header);
	else
		reply_reset(vsock, &header);
}

/* As long as there is room for a reply: a guest that takes none is not listened to. */
static void transmit(struct virtio_vsock *vsock)
{
	struct virtqueue *queue = &vsock->virtio.queues[QUEUE_TRANSMIT];
	bool has_room;

	do {
		while ((has_room = vsock->reply_count < VSOCK_REPLIES_MAX) &&
			virtio_pop(&vsock->virtio, queue, &vsock->chain)) {
			take_packet(vsock);
			virtqueue_push(queue, vsock->chain.head, 0);
		}
	} while (has_room && virtio_is_running(&vsock->virtio) && virtqueue_rearm(queue));
	vsock->has_waiting = !has_room;
	virtio_publish(&vsock->virtio, queue);
}

static void exchange(struct virtio_vsock *vsock)
{
	do {
		transmit(vsock);
		flush(vsock);
	} while (vsock->has_waiting && vsock->reply_count < VSOCK_REPLIES_MAX &&
		virtio_is_running(&vsock->virtio));
}

/* ---- data to the guest ---- */

static bool stall(struct vsock_connection *connection)
{
	connection->is_stalled = true;
	return false;
}

/* One packet; false: no more just now. */
static bool receive_piece(struct virtio_vsock *vsock, struct vsock_connection *connection)
{
	struct virtqueue *queue = &vsock->virtio.queues[QUEUE_RECEIVE];
	u32 credit = connection_credit(connection);
	struct vsock_header header;
	u64 room;
	i32 got;

	if (!credit && !connection->has_asked)
		connection->pending |= 1u << VSOCK_CREDIT_REQUEST;
	connection->has_asked |= !credit;
	if (!credit || !take_buffer(vsock))
		return stall(connection);
	room = vsock->chain.writable_bytes;
	if (room <= sizeof(header)) {
		virtio_needs_reset(&vsock->virtio, "a buffer too small for a packet");
		return stall(connection);
	}
	room = MIN(MIN(room - sizeof(header), credit), sizeof(vsock->piece));
	got = vsock->backend->read(vsock->backend->context, connection_number(vsock, connection),
		vsock->piece, (u32)room);
	if (got <= 0) {
		virtqueue_unpop(queue);
		if (got == VSOCK_ENDED)
			connection_host_ended(vsock, connection);
		return false;
	}
	header = header_of(connection, VSOCK_DATA, (u32)got);
	connection->sent += (u32)got;
	return give_packet(vsock, &header, vsock->piece);
}

static unsigned vsock_wants(void *device, unsigned number)
{
	const struct vsock_connection *connection =
		&((struct virtio_vsock *)device)->connections[number];

	if (connection->state == VSOCK_ASKING_GUEST)
		return VSOCK_WANTS_END;
	if (connection->state != VSOCK_OPEN || !connection->has_backend)
		return 0;
	if (connection->host_ended)
		return VSOCK_WANTS_END | (connection->bytes ? VSOCK_WANTS_ROOM : 0);
	return (connection->is_stalled || connection->guest_is_deaf ? 0 : VSOCK_WANTS_INPUT) |
		(connection->bytes ? VSOCK_WANTS_ROOM : 0);
}

static void vsock_ready(void *device, unsigned number, unsigned ready)
{
	struct virtio_vsock *vsock = device;
	struct vsock_connection *connection = &vsock->connections[number];
	unsigned wants = ready & vsock_wants(vsock, number);

	if (wants & VSOCK_WANTS_ROOM)
		connection_drain(vsock, connection);
	flush(vsock); /* before its data */
	wants &= vsock_wants(vsock, number);
	for (unsigned i = 0; wants & VSOCK_WANTS_INPUT && i < PIECES_IN_TURN; i++) {
		if (!receive_piece(vsock, connection))
			break;
	}
	if (wants & VSOCK_WANTS_END && connection->state == VSOCK_ASKING_GUEST)
		connection_reset(vsock, connection);
	else if (wants & VSOCK_WANTS_END)
		connection_host_is_deaf(vsock, connection);
	flush(vsock);
}

/* There are buffers again. */
static void resume(struct virtio_vsock *vsock)
{
	bool was_stalled = false;

	exchange(vsock);
	for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
		struct vsock_connection *connection = &vsock->connections[i];

		if (!connection->is_stalled || !connection_credit(connection))
			continue;
		connection->is_stalled = false;
		was_stalled = true;
	}
	if (was_stalled)
		vsock->backend->wake(vsock->backend->context);
}

/* ---- connections that the place opens ---- */

static u32 port_after(u32 port)
{
	return FIRST_PORT | (port + 1);
}

static int vsock_request(void *device, u32 port)
{
	struct virtio_vsock *vsock = device;
	struct vsock_connection *connection;

	if (!virtio_is_running(&vsock->virtio))
		return -1;
	while (connection_find(vsock, port, vsock->next_port))
		vsock->next_port = port_after(vsock->next_port);
	connection = connection_create(vsock, VSOCK_ASKING_GUEST, port, vsock->next_port);
	if (!connection)
		return -1;
	vsock->next_port = port_after(vsock->next_port);
	connection->pending = 1u << VSOCK_REQUEST;
	flush(vsock);
	return (int)connection_number(vsock, connection);
}

static void vsock_opened(void *device, unsigned number)
{
	struct virtio_vsock *vsock = device;
	struct vsock_connection *connection = &vsock->connections[number];

	if (connection->state != VSOCK_ASKING_HOST)
		return;
	connection->state = VSOCK_OPEN;
	connection->pending = 1u << VSOCK_RESPONSE;
	flush(vsock);
}

static void vsock_refused(void *device, unsigned number)
{
	struct virtio_vsock *vsock = device;
	struct vsock_connection *connection = &vsock->connections[number];

	if (connection->state != VSOCK_ASKING_HOST)
		return;
	connection->has_backend = false;
	connection_reset(vsock, connection);
	flush(vsock);
}

struct vsock_device virtio_vsock_device(struct virtio_vsock *vsock)
{
	return (struct vsock_device){
		vsock_request, vsock_opened, vsock_refused, vsock_wants, vsock_ready, vsock};
}

/* ---- events ---- */

/* 5.10.6.7: the driver closes all that it has. */
static void tell_reset(struct virtio_vsock *vsock)
{
	static const u32 event = EVENT_TRANSPORT_RESET;
	struct virtqueue *queue = &vsock->virtio.queues[QUEUE_EVENT];

	do {
		while (vsock->must_tell_reset && virtio_pop(&vsock->virtio, queue, &vsock->chain)) {
			bool has_written =
				virtqueue_write(queue, &vsock->chain, 0, &event, sizeof(event));

			virtqueue_push(queue, vsock->chain.head, has_written ? sizeof(event) : 0);
			vsock->must_tell_reset = !has_written;
		}
	} while (vsock->must_tell_reset && virtio_is_running(&vsock->virtio) &&
		virtqueue_rearm(queue));
	virtio_publish(&vsock->virtio, queue);
}

static void loaded_fire(void *owner)
{
	struct virtio_vsock *vsock = owner;

	vsock->must_tell_reset = virtio_is_running(&vsock->virtio);
	tell_reset(vsock);
}

/* ---- life ---- */

static void vsock_kick(struct virtio *virtio, struct virtqueue *queue)
{
	struct virtio_vsock *vsock = vsock_of(virtio);

	switch (queue - virtio->queues) {
	case QUEUE_RECEIVE:
		resume(vsock);
		break;
	case QUEUE_TRANSMIT:
		exchange(vsock);
		break;
	case QUEUE_EVENT:
		tell_reset(vsock);
		break;
	}
}

static void forget_all(struct virtio_vsock *vsock)
{
	for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++)
		connection_free(vsock, &vsock->connections[i]);
	vsock->reply_start = vsock->reply_count = 0;
	vsock->next_turn = 0;
	vsock->has_waiting = vsock->must_tell_reset = false;
}

static void vsock_reset(struct virtio *virtio)
{
	forget_all(vsock_of(virtio));
}

/* The other ends have stayed where the machine was saved. */
static bool vsock_loaded(void *object)
{
	struct virtio_vsock *vsock = object;

	forget_all(vsock);
	event_set(&vsock->loaded, 0);
	return vsock->next_port >= FIRST_PORT;
}

static const struct state_field vsock_fields[] = {
	STATE_UINT(struct virtio_vsock, next_port),
};
static const struct state_table vsock_state =
	STATE_TABLE("virtio-vsock", 1, vsock_fields, vsock_loaded);

static const struct virtio_ops vsock_ops = {
	.kind = "virtio-vsock",
	.type = VIRTIO_VSOCK,
	.class_code = 0x078000, /* communication, other */
	.kick = vsock_kick,
	.reset = vsock_reset,
	.state = &vsock_state,
};

enum status virtio_vsock_init(
	struct virtio_vsock *vsock, struct virtio_parameters *common, struct vsock_backend *backend)
{
	vsock->buffers = host_memory_get(VSOCK_CONNECTIONS_MAX * sizeof(*vsock->buffers));
	if (!vsock->buffers)
		return STATUS_NO_MEMORY;
	vsock->backend = backend;
	vsock->config = VSOCK_GUEST_CID;
	vsock->next_port = FIRST_PORT;
	event_init(&vsock->loaded, common->bus->machine, loaded_fire, vsock);
	common->queue_count = QUEUES;
	common->queue_size = 256;
	common->features = FEATURE_STREAM;
	common->config = &vsock->config;
	common->config_bytes = sizeof(vsock->config);
	common->object = vsock;
	return virtio_init(&vsock->virtio, &vsock_ops, common);
}

void virtio_vsock_fini(struct virtio_vsock *vsock)
{
	if (vsock->virtio.queues)
		virtio_fini(&vsock->virtio);
	host_memory_put(vsock->buffers, VSOCK_CONNECTIONS_MAX * sizeof(*vsock->buffers));
	vsock->buffers = NULL;
}
