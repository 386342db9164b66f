/* SPDX-License-Identifier: MIT */
#include "hosts/linux/vhost_user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/machine.h"
#include "hosts/linux/vhost_message.h"

#define FEATURE_VERSION_1 ((u64)1 << 32)
#define FEATURE_PROTOCOL ((u64)1 << 30)
#define PROTOCOL_MULTIPLE_QUEUES ((u64)1 << 0)
#define PROTOCOL_CONFIG ((u64)1 << 9)
/* Where the rings are in the addresses that we agree on; the guest's memory begins at 0. */
#define RINGS_ADDRESS ((u64)1 << 46)
#define PATIENCE_SECONDS 10
#define DRAIN_PATIENCE_NS ((u64)30 * 1000000000)

/* ---- what it is ---- */

static enum status ask_config(struct vhost_port *port, unsigned bytes, struct error *error)
{
	struct vhost_message message = {.config = {.bytes = bytes}};
	size_t header = offsetof(struct vhost_message, config.content) - VHOST_HEADER_BYTES;
	enum status status = vhost_ask(port, &message, VHOST_GET_CONFIG, header + bytes, error);

	if (status != STATUS_OK)
		return status;
	if (message.bytes != header + bytes)
		return vhost_fail(port, "it does not tell its configuration", error);
	memcpy(port->backend.config, message.config.content, bytes);
	port->backend.config_bytes = bytes;
	return STATUS_OK;
}

static enum status ask_protocol(struct vhost_port *port,
	const struct vhost_user_parameters *parameters, struct error *error)
{
	u64 wanted = PROTOCOL_MULTIPLE_QUEUES | (parameters->config_bytes ? PROTOCOL_CONFIG : 0);
	u64 offered = 0, queues = 1;
	enum status status = vhost_ask_value(port, VHOST_GET_PROTOCOL_FEATURES, &offered, error);

	if (status == STATUS_OK && parameters->config_bytes && !(offered & PROTOCOL_CONFIG))
		return vhost_fail(port, "it does not tell its configuration", error);
	if (status == STATUS_OK)
		status = vhost_tell_value(
			port, VHOST_SET_PROTOCOL_FEATURES, offered & wanted, error);
	if (status == STATUS_OK && offered & PROTOCOL_MULTIPLE_QUEUES)
		status = vhost_ask_value(port, VHOST_GET_QUEUE_NUM, &queues, error);
	port->backend.queues = (unsigned)MAX(MIN(queues, parameters->queues_max), 1);
	if (status == STATUS_OK && parameters->config_bytes)
		status = ask_config(port, parameters->config_bytes, error);
	return status;
}

static enum status say_hello(struct vhost_port *port,
	const struct vhost_user_parameters *parameters, struct error *error)
{
	struct vhost_message message = {0};
	u64 features = 0;
	enum status status = vhost_send(port, &message, VHOST_SET_OWNER, 0, NULL, 0, error);

	if (status == STATUS_OK)
		status = vhost_ask_value(port, VHOST_GET_FEATURES, &features, error);
	if (status == STATUS_OK &&
		(features & (FEATURE_VERSION_1 | FEATURE_PROTOCOL)) !=
			(FEATURE_VERSION_1 | FEATURE_PROTOCOL))
		return vhost_fail(port, "it is too old", error);
	if (status == STATUS_OK)
		status = ask_protocol(port, parameters, error);
	port->backend.features = features & parameters->features;
	if (status == STATUS_OK)
		status = vhost_tell_value(port, VHOST_SET_FEATURES,
			port->backend.features | FEATURE_VERSION_1 | FEATURE_PROTOCOL, error);
	return status;
}

/* ---- memory and rings ---- */

static enum status share_memory(struct vhost_port *port,
	const struct vhost_user_parameters *parameters, int rings, u64 rings_bytes,
	struct error *error)
{
	struct vhost_message message = {.memory = {.count = VHOST_REGIONS}};
	const int fds[VHOST_REGIONS] = {parameters->ram, rings};

	message.memory.regions[0].bytes = parameters->ram_bytes;
	message.memory.regions[1].bytes = rings_bytes;
	message.memory.regions[1].guest_address = RINGS_ADDRESS;
	message.memory.regions[1].user_address = RINGS_ADDRESS;
	return vhost_send(port, &message, VHOST_SET_MEM_TABLE, sizeof(message.memory), fds,
		VHOST_REGIONS, error);
}

static enum status set_up_ring(struct vhost_port *port, u32 index, struct error *error)
{
	struct vhost_ring *ring = &port->rings[index];
	u64 at = RINGS_ADDRESS + (u64)index * VHOST_RING_BYTES;
	struct vhost_message message = {.address = {.index = index,
						.descriptors = at,
						.available = at + VHOST_RING_AVAILABLE,
						.used = at + VHOST_RING_USED}};
	enum status status;

	ring->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ring->kick < 0 || ring->call < 0)
		return vhost_fail(port, "no descriptors left", error);
	status = vhost_tell_ring(port, VHOST_SET_VRING_NUM, index, VHOST_RING_SIZE, error);
	if (status == STATUS_OK)
		status = vhost_tell_ring(port, VHOST_SET_VRING_BASE, index, 0, error);
	if (status == STATUS_OK)
		status = vhost_send(port, &message, VHOST_SET_VRING_ADDR, sizeof(message.address),
			NULL, 0, error);
	if (status == STATUS_OK)
		status = vhost_tell_eventfd(port, VHOST_SET_VRING_CALL, index, ring->call, error);
	if (status == STATUS_OK)
		status = vhost_tell_eventfd(port, VHOST_SET_VRING_KICK, index, ring->kick, error);
	if (status == STATUS_OK)
		status = vhost_tell_ring(port, VHOST_SET_VRING_ENABLE, index, 1, error);
	return status;
}

static enum status set_up_rings(struct vhost_port *port,
	const struct vhost_user_parameters *parameters, struct error *error)
{
	unsigned queues = port->backend.queues;
	size_t bytes = (size_t)queues * VHOST_RING_BYTES;
	int fd = memfd_create("rings", MFD_CLOEXEC);
	enum status status = STATUS_OK;
	u64 ignored;
	u8 *memory;

	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		return vhost_fail(port, strerror(errno), error);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	port->rings = calloc(queues, sizeof(*port->rings));
	if (memory == MAP_FAILED || !port->rings)
		return vhost_fail(port, "out of memory", error);
	status = share_memory(port, parameters, fd, bytes, error);
	for (u32 i = 0; i < queues && status == STATUS_OK; i++) {
		vhost_ring_init(&port->rings[i], memory + (size_t)i * VHOST_RING_BYTES);
		status = set_up_ring(port, i, error);
	}
	close(fd);
	/* It has taken all that. */
	return status == STATUS_OK ? vhost_ask_value(port, VHOST_GET_FEATURES, &ignored, error)
				   : status;
}

/* ---- work ---- */

static bool port_submit(void *context, unsigned queue, u16 token,
	const struct vhost_buffer *buffers, unsigned count)
{
	struct vhost_port *port = context;

	if (!vhost_ring_submit(&port->rings[queue], token, buffers, count))
		return false;
	port->in_flight++;
	return true;
}

static void port_start(void *context, unsigned queue)
{
	static const u64 one = 1;
	struct vhost_port *port = context;

	if (vhost_ring_wants_kick(&port->rings[queue])) {
		ssize_t written = write(port->rings[queue].kick, &one, sizeof(one));
		(void)written;
	}
}

static void end_request(struct vhost_port *port, unsigned queue, u16 head, u32 written)
{
	struct vhost_ring *ring = &port->rings[queue];
	u16 token = ring->slots[head].token;

	vhost_ring_release(ring, head);
	port->in_flight--;
	port->device.done(port->device.device, queue, token, written);
}

static void announce_writes(struct vhost_port *port, unsigned queue, u16 head)
{
	for (u16 index = head;; index = port->rings[queue].slots[index].next) {
		const struct vhost_slot *slot = &port->rings[queue].slots[index];

		if (slot->buffer.is_writable)
			port->device.written(
				port->device.device, slot->buffer.offset, slot->buffer.bytes);
		if (!slot->has_next)
			return;
	}
}

void vhost_user_called(struct vhost_port *port, unsigned queue)
{
	enum vhost_ring_result result;
	u32 written;
	u16 head;

	while (!port->backend.is_lost &&
		(result = vhost_ring_take(&port->rings[queue], &head, &written)) !=
			VHOST_RING_EMPTY) {
		if (result == VHOST_RING_BROKEN) {
			vhost_user_give_up(port, "the other side answers what was not asked");
			return;
		}
		announce_writes(port, queue, head);
		end_request(port, queue, head, written);
	}
	if (!port->backend.is_lost)
		port->device.settle(port->device.device, queue);
	host_signal_raise(&port->ended);
}

/* The guest is not told of an end of what was in flight: nobody knows how far it got. */
void vhost_user_give_up(struct vhost_port *port, const char *why)
{
	char line[160];

	if (port->backend.is_lost)
		return;
	snprintf(line, sizeof(line), "%s: %s: it does nothing any more", port->name, why);
	host_log(LOG_WARNING, line);
	port->backend.is_lost = true;
	port->device.lost(port->device.device);
	for (unsigned queue = 0; queue < port->backend.queues; queue++) {
		for (u16 i = 0; i < VHOST_RING_SIZE; i++) {
			if (port->rings[queue].slots[i].is_head)
				end_request(port, queue, i, 0);
		}
	}
	host_signal_raise(&port->ended);
}

static u32 in_flight(struct vhost_port *port)
{
	u32 count;

	host_lock(&port->machine->lock);
	count = port->in_flight;
	host_unlock(&port->machine->lock);
	return count;
}

static void port_drain(void *context)
{
	struct vhost_port *port = context;
	u64 limit = host_time_ns() + DRAIN_PATIENCE_NS;

	while (port->machine && in_flight(port) && host_time_ns() < limit)
		host_signal_wait(&port->ended, limit);
	if (!port->machine || !in_flight(port))
		return;
	host_lock(&port->machine->lock);
	vhost_user_give_up(port, "the other side does not end what it has begun");
	host_unlock(&port->machine->lock);
}

enum status vhost_user_open(struct vhost_port *port, const struct vhost_user_parameters *parameters,
	struct error *error)
{
	const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
	enum status status;

	port->name = parameters->name;
	port->socket = parameters->socket;
	port->backend.submit = port_submit;
	port->backend.start = port_start;
	port->backend.drain = port_drain;
	port->backend.context = port;
	setsockopt(port->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(port->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	status = say_hello(port, parameters, error);
	return status == STATUS_OK ? set_up_rings(port, parameters, error) : status;
}
