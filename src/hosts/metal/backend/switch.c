/* SPDX-License-Identifier: MIT */
#include "hosts/metal/backend/switch.h"

#include "base/memory.h"

#define NS_PER_SECOND 1000000000ull
#define NS_PER_US 1000ull
#define BURSTS_PER_SECOND 10
#define RATE_MOST ((u64)1 << 40) /* bytes a second: no limit to speak of */

/* An Ethernet frame begins with whom it is for and whom it is from. */
#define SOURCE_AT NET_ADDRESS_BYTES
#define GROUP_BIT 1

/* Frames in a queue lie whole: what does not fit in front of its end begins anew, and this says so. */
#define LENGTH_BYTES 4
#define LENGTH_WRAP 0xffffffffu

void switch_init(struct net_switch *net)
{
	memset(net, 0, sizeof(*net));
	host_lock_init(&net->lock);
}

static bool is_same(const u8 *a, const u8 *b)
{
	return !memcmp(a, b, NET_ADDRESS_BYTES);
}

/* ---- a port's queue ---- */

static u32 record_bytes(u32 frame_bytes)
{
	return (LENGTH_BYTES + frame_bytes + LENGTH_BYTES - 1) & ~(u32)(LENGTH_BYTES - 1);
}

static void put_length(struct switch_port *port, u32 at, u32 length)
{
	memcpy(port->queue + at, &length, LENGTH_BYTES);
}

/* Room for so many bytes in one piece, which stays short of `first`: an end that caught up with it would look empty. */
static bool find_room(struct switch_port *port, u32 bytes, u32 first, u32 *at)
{
	u32 end = port->end;

	if (end < first) {
		*at = end;
		return first - end > bytes;
	}
	if (SWITCH_QUEUE_BYTES - end > bytes || (SWITCH_QUEUE_BYTES - end == bytes && first)) {
		*at = end;
		return true;
	}
	*at = 0;
	return first > bytes;
}

/* True: it lies there now. *was_empty: nothing did before. */
static bool enqueue(struct switch_port *port, const u8 *frame, u32 bytes, bool *was_empty)
{
	u32 record = record_bytes(bytes), at;
	bool has_room;

	host_lock(&port->lock);
	has_room = find_room(port, record, port->first, &at);
	*was_empty = port->first == port->end;
	if (has_room) {
		if (at != port->end)
			put_length(port, port->end, LENGTH_WRAP);
		put_length(port, at, bytes);
		memcpy(port->queue + at + LENGTH_BYTES, frame, bytes);
		port->end = (at + record) % SWITCH_QUEUE_BYTES;
	} else {
		port->counts.lost++;
	}
	host_unlock(&port->lock);
	return has_room;
}

/* The first frame, which stays where it is until dequeue; NULL: there is none. */
static const u8 *first_frame(struct switch_port *port, u32 *bytes)
{
	bool is_empty;

	host_lock(&port->lock);
	is_empty = port->first == port->end;
	if (!is_empty) {
		memcpy(bytes, port->queue + port->first, LENGTH_BYTES);
		if (*bytes == LENGTH_WRAP) {
			port->first = 0;
			memcpy(bytes, port->queue, LENGTH_BYTES);
		}
	}
	host_unlock(&port->lock);
	return is_empty ? NULL : port->queue + port->first + LENGTH_BYTES;
}

static void dequeue(struct switch_port *port, u32 bytes)
{
	host_lock(&port->lock);
	port->first = (port->first + record_bytes(bytes)) % SWITCH_QUEUE_BYTES;
	host_unlock(&port->lock);
	port->counts.received_frames++;
	port->counts.received_bytes += bytes;
}

/* ---- who gets a frame ---- */

static struct switch_learned *learned_place(struct net_switch *net, const u8 *address)
{
	u32 hash = 0;

	for (unsigned i = 0; i < NET_ADDRESS_BYTES; i++)
		hash = hash * 31 + address[i];
	return &net->learned[hash % SWITCH_LEARNED_MAX];
}

static unsigned index_of(const struct switch_port *port)
{
	unsigned i = 0;

	while (port->owner->ports[i] != port)
		i++;
	return i;
}

/* The last of two addresses with one place in the table keeps it: the other's frames go to all that are not pinned. */
static void learn(struct switch_port *port, const u8 *address)
{
	struct net_switch *net = port->owner;
	struct switch_learned *place = learned_place(net, address);

	host_lock(&net->lock);
	memcpy(place->address, address, NET_ADDRESS_BYTES);
	place->port = (u8)(index_of(port) + 1);
	host_unlock(&net->lock);
}

static struct switch_port *find_learned(struct net_switch *net, const u8 *address)
{
	struct switch_learned *place = learned_place(net, address);
	struct switch_port *port = NULL;

	host_lock(&net->lock);
	if (place->port && is_same(place->address, address))
		port = net->ports[place->port - 1];
	host_unlock(&net->lock);
	return port;
}

static struct switch_port *find_pinned(struct net_switch *net, const u8 *address)
{
	for (unsigned i = 0; i < net->port_count; i++) {
		if (net->ports[i]->is_pinned && is_same(net->ports[i]->address, address))
			return net->ports[i];
	}
	return NULL;
}

static void give(struct switch_port *to, const u8 *frame, u32 bytes)
{
	bool was_empty;

	if (enqueue(to, frame, bytes, &was_empty) && was_empty)
		to->wake(to->context);
}

/* A frame for a group goes to all; one for an address that nobody is known to have, to those that may have it. */
static void forward(struct switch_port *from, const u8 *frame, u32 bytes)
{
	struct net_switch *net = from->owner;
	bool is_for_group = frame[0] & GROUP_BIT;
	struct switch_port *to = is_for_group ? NULL : find_pinned(net, frame);

	if (!to && !is_for_group)
		to = find_learned(net, frame);
	if (to) {
		if (to != from)
			give(to, frame, bytes);
		return;
	}
	for (unsigned i = 0; i < net->port_count; i++) {
		if (net->ports[i] != from && (is_for_group || !net->ports[i]->is_pinned))
			give(net->ports[i], frame, bytes);
	}
}

/* ---- what a port may send ---- */

static i64 burst(const struct switch_port *port)
{
	return (i64)MAX(port->bytes_per_second / BURSTS_PER_SECOND, SWITCH_FRAME_BYTES_MAX);
}

static void earn(struct switch_port *port)
{
	u64 now = host_time_ns(), passed = now - port->credited_ns;

	/* After a second it is full, whatever it was; so no product is too large. Whole microseconds: what is over counts next time. */
	passed = MIN(passed, NS_PER_SECOND) / NS_PER_US;
	port->credit += (i64)(passed * port->bytes_per_second / (NS_PER_SECOND / NS_PER_US));
	port->credit = MIN(port->credit, burst(port));
	port->credited_ns = now - (now - port->credited_ns) % NS_PER_US;
}

static bool may_send(struct switch_port *port)
{
	if (!port->bytes_per_second)
		return true;
	earn(port);
	return port->credit > 0;
}

static u64 may_send_at(const struct switch_port *port)
{
	u64 missing = (u64)(1 - port->credit);

	return port->credited_ns + missing * NS_PER_SECOND / port->bytes_per_second + NS_PER_US;
}

/* Can this be a frame of that port's? */
static bool is_allowed(const struct switch_port *port, const u8 *frame, u32 bytes)
{
	if (bytes < NET_HEADER_BYTES || bytes > SWITCH_FRAME_BYTES_MAX)
		return false;
	if (port->is_pinned)
		return is_same(frame + SOURCE_AT, port->address);
	/* Nobody takes the address of a port that is pinned to it. */
	return !(frame[SOURCE_AT] & GROUP_BIT) && !find_pinned(port->owner, frame + SOURCE_AT);
}

static bool port_send(void *context, const struct net_offload *offload, const u8 *frame, u32 bytes)
{
	struct switch_port *port = context;

	(void)offload; /* can_offload is not set: there is nothing to be done to it */
	if (!is_allowed(port, frame, bytes)) {
		port->counts.refused++;
		return true;
	}
	if (!may_send(port)) {
		port->is_held = true;
		port->wake(port->context);
		return false;
	}
	if (port->bytes_per_second)
		port->credit -= bytes;
	if (!port->is_pinned)
		learn(port, frame + SOURCE_AT);
	port->counts.sent_frames++;
	port->counts.sent_bytes += bytes;
	forward(port, frame, bytes);
	return true;
}

static void port_resume_input(void *context)
{
	struct switch_port *port = context;

	port->wake(port->context);
}

u64 switch_port_run(struct switch_port *port)
{
	static const struct net_offload whole;
	const u8 *frame;
	u32 bytes;

	while ((frame = first_frame(port, &bytes)) &&
		port->device.receive(port->device.device, &whole, frame, bytes))
		dequeue(port, bytes);
	if (!port->is_held)
		return TIME_NEVER;
	if (!may_send(port))
		return may_send_at(port);
	port->is_held = false;
	port->device.writable(port->device.device);
	return port->is_held ? may_send_at(port) : TIME_NEVER;
}

enum status switch_add(struct net_switch *net, struct switch_port *port)
{
	if (net->port_count == SWITCH_PORTS_MAX)
		return STATUS_TOO_BIG;
	if (port->is_pinned && find_pinned(net, port->address))
		return STATUS_BUSY;
	port->queue = host_memory_get(SWITCH_QUEUE_BYTES);
	if (!port->queue)
		return STATUS_NO_MEMORY;
	host_lock_init(&port->lock);
	port->backend = (struct net_backend){
		.send = port_send,
		.resume_input = port_resume_input,
		.context = port,
		.is_trusted = true,
		.mtu = SWITCH_MTU,
		.link_is_up = true,
	};
	port->bytes_per_second = MIN(port->bytes_per_second, RATE_MOST);
	port->owner = net;
	port->first = port->end = 0;
	port->credit = burst(port);
	port->credited_ns = host_time_ns();
	net->ports[net->port_count++] = port;
	return STATUS_OK;
}
