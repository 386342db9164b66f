/* SPDX-License-Identifier: MIT */
#include "devices/virtio/vsock_connection.h"
#include "base/memory.h"

static void must_send(struct vsock_connection *connection, enum vsock_operation operation)
{
	connection->pending |= 1u << operation;
}

/* ---- life ---- */

struct vsock_connection *connection_find(struct virtio_vsock *vsock, u32 guest_port, u32 host_port)
{
	for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
		struct vsock_connection *connection = &vsock->connections[i];

		if (connection->state != VSOCK_FREE && connection->guest_port == guest_port &&
			connection->host_port == host_port)
			return connection;
	}
	return NULL;
}

struct vsock_connection *connection_create(
	struct virtio_vsock *vsock, enum vsock_state state, u32 guest_port, u32 host_port)
{
	for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
		struct vsock_connection *connection = &vsock->connections[i];

		if (connection->state != VSOCK_FREE)
			continue;
		*connection = (struct vsock_connection){.state = state,
			.guest_port = guest_port,
			.host_port = host_port,
			.has_backend = true};
		return connection;
	}
	return NULL;
}

static void close_backend(struct virtio_vsock *vsock, struct vsock_connection *connection)
{
	if (connection->has_backend)
		vsock->backend->close(
			vsock->backend->context, connection_number(vsock, connection));
	connection->has_backend = false;
	connection->bytes = 0;
}

void connection_free(struct virtio_vsock *vsock, struct vsock_connection *connection)
{
	close_backend(vsock, connection);
	connection->state = VSOCK_FREE;
	connection->pending = 0;
}

void connection_reset(struct virtio_vsock *vsock, struct vsock_connection *connection)
{
	/* A guest that has not heard of it need not hear of its end. */
	bool is_unknown = connection->pending & 1u << VSOCK_REQUEST;

	connection_free(vsock, connection);
	if (is_unknown)
		return;
	connection->state = VSOCK_RESETTING;
	must_send(connection, VSOCK_RESET);
}

/* ---- credit ---- */

u32 connection_credit(const struct vsock_connection *connection)
{
	u32 under_way = connection->sent - connection->guest_taken;

	return under_way < connection->guest_room ? connection->guest_room - under_way : 0;
}

/* The guest hears of room before it runs out of it, not of every byte. */
static void count_taken(struct vsock_connection *connection, u32 bytes)
{
	connection->taken += bytes;
	if (connection->taken - connection->told_taken >= VSOCK_BUFFER_BYTES / 2)
		must_send(connection, VSOCK_CREDIT);
}

static void take_credit(struct virtio_vsock *vsock, struct vsock_connection *connection,
	const struct vsock_header *header)
{
	connection->guest_room = header->room;
	connection->guest_taken = header->taken;
	if (!connection_credit(connection))
		return;
	connection->has_asked = false;
	if (connection->is_stalled) {
		connection->is_stalled = false;
		vsock->backend->wake(vsock->backend->context);
	}
}

/* ---- ends ---- */

/* The guest has said all that it will: the place hears of it behind the last byte. */
static void settle_ends(struct virtio_vsock *vsock, struct vsock_connection *connection)
{
	if (connection->bytes || !connection->guest_ended)
		return;
	if (connection->guest_is_deaf) {
		connection_reset(vsock, connection);
		return;
	}
	if (connection->has_backend && !connection->output_ended)
		vsock->backend->end_output(
			vsock->backend->context, connection_number(vsock, connection));
	connection->output_ended = true;
}

static void tell_shutdown(struct virtio_vsock *vsock, struct vsock_connection *connection)
{
	must_send(connection, VSOCK_SHUTDOWN);
	if (connection->host_ended && connection->host_is_deaf)
		close_backend(vsock, connection);
}

void connection_host_ended(struct virtio_vsock *vsock, struct vsock_connection *connection)
{
	connection->host_ended = true;
	tell_shutdown(vsock, connection);
}

void connection_host_is_deaf(struct virtio_vsock *vsock, struct vsock_connection *connection)
{
	count_taken(connection, connection->bytes);
	connection->bytes = 0;
	connection->host_is_deaf = true;
	tell_shutdown(vsock, connection);
	settle_ends(vsock, connection);
}

/* ---- bytes to the place ---- */

void connection_drain(struct virtio_vsock *vsock, struct vsock_connection *connection)
{
	unsigned number = connection_number(vsock, connection);

	while (connection->bytes) {
		u32 piece = MIN(connection->bytes, VSOCK_BUFFER_BYTES - connection->start);
		i32 written = vsock->backend->write(vsock->backend->context, number,
			vsock->buffers[number] + connection->start, piece);

		if (written == VSOCK_LATER)
			return;
		if (written < 0) {
			connection_host_is_deaf(vsock, connection);
			return;
		}
		connection->bytes -= (u32)written;
		connection->start = (connection->start + (u32)written) % VSOCK_BUFFER_BYTES;
		count_taken(connection, (u32)written);
	}
	connection->start = 0;
	settle_ends(vsock, connection);
}

/* Behind what is there; the room has been looked at. */
static void store(struct virtio_vsock *vsock, struct vsock_connection *connection, u32 bytes)
{
	u8 *buffer = vsock->buffers[connection_number(vsock, connection)];
	u32 at = (connection->start + connection->bytes) % VSOCK_BUFFER_BYTES;
	u32 first = MIN(bytes, VSOCK_BUFFER_BYTES - at);
	bool has_read =
		virtqueue_read(&vsock->chain, sizeof(struct vsock_header), buffer + at, first) &&
		virtqueue_read(
			&vsock->chain, sizeof(struct vsock_header) + first, buffer, bytes - first);

	if (has_read)
		connection->bytes += bytes;
}

static void take_data(struct virtio_vsock *vsock, struct vsock_connection *connection, u32 bytes)
{
	bool had_none = !connection->bytes;

	if (connection->guest_ended || bytes > VSOCK_BUFFER_BYTES - connection->bytes) {
		connection_reset(vsock, connection);
		return;
	}
	if (connection->host_is_deaf) {
		count_taken(connection, bytes);
		return;
	}
	store(vsock, connection, bytes);
	if (!had_none)
		return;
	connection_drain(vsock, connection);
	if (connection->bytes)
		vsock->backend->wake(vsock->backend->context);
}

/* ---- packets ---- */

static void take_response(struct virtio_vsock *vsock, struct vsock_connection *connection)
{
	connection->state = VSOCK_OPEN;
	connection->pending = 0;
	vsock->backend->accepted(vsock->backend->context, connection_number(vsock, connection),
		connection->host_port);
	vsock->backend->wake(vsock->backend->context);
}

static void take_shutdown(
	struct virtio_vsock *vsock, struct vsock_connection *connection, u32 flags)
{
	connection->guest_is_deaf |= !!(flags & VSOCK_SHUTDOWN_RECEIVE);
	connection->guest_ended |= !!(flags & VSOCK_SHUTDOWN_SEND);
	settle_ends(vsock, connection);
}

static void take_when_open(struct virtio_vsock *vsock, struct vsock_connection *connection,
	const struct vsock_header *header)
{
	switch (header->operation) {
	case VSOCK_SHUTDOWN:
		take_shutdown(vsock, connection, header->flags);
		break;
	case VSOCK_DATA:
		take_data(vsock, connection, header->bytes);
		break;
	case VSOCK_CREDIT:
		break;
	case VSOCK_CREDIT_REQUEST:
		must_send(connection, VSOCK_CREDIT);
		break;
	default:
		connection_reset(vsock, connection);
	}
}

void connection_take(struct virtio_vsock *vsock, struct vsock_connection *connection,
	const struct vsock_header *header)
{
	if (header->operation == VSOCK_RESET) {
		connection_free(vsock, connection);
		return;
	}
	if (connection->state == VSOCK_RESETTING)
		return;
	take_credit(vsock, connection, header);
	if (connection->state == VSOCK_OPEN)
		take_when_open(vsock, connection, header);
	else if (connection->state == VSOCK_ASKING_GUEST && header->operation == VSOCK_RESPONSE)
		take_response(vsock, connection);
	else
		connection_reset(vsock, connection);
}
