/* SPDX-License-Identifier: MIT */
/* Between vsock.c (queues and packets) and vsock_connection.c (what becomes of one connection). */
#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_H
#define DEVICES_VIRTIO_VSOCK_CONNECTION_H

#include "devices/virtio/vsock.h"

/* 5.10.6 */
enum vsock_operation {
	VSOCK_REQUEST = 1,
	VSOCK_RESPONSE = 2,
	VSOCK_RESET = 3,
	VSOCK_SHUTDOWN = 4,
	VSOCK_DATA = 5,
	VSOCK_CREDIT = 6,
	VSOCK_CREDIT_REQUEST = 7,
};
enum vsock_shutdown { VSOCK_SHUTDOWN_RECEIVE = 1, VSOCK_SHUTDOWN_SEND = 2 };
#define VSOCK_STREAM 1

static inline unsigned connection_number(
	const struct virtio_vsock *vsock, const struct vsock_connection *connection)
{
	return (unsigned)(connection - vsock->connections);
}

/* NULL: there is none. */
struct vsock_connection *connection_find(struct virtio_vsock *vsock, u32 guest_port, u32 host_port);
/* NULL: there are too many. */
struct vsock_connection *connection_create(
	struct virtio_vsock *vsock, enum vsock_state state, u32 guest_port, u32 host_port);
/* At once, and the guest is not told. */
void connection_free(struct virtio_vsock *vsock, struct vsock_connection *connection);
/* The guest is told, and then it is free. */
void connection_reset(struct virtio_vsock *vsock, struct vsock_connection *connection);
/* Bytes that the guest has room for. */
u32 connection_credit(const struct vsock_connection *connection);

/* A packet of the guest's; its bytes are vsock->chain's, behind the header, all of them there. */
void connection_take(struct virtio_vsock *vsock, struct vsock_connection *connection,
	const struct vsock_header *header);
/* Writes what is buffered, as far as the place takes it. */
void connection_drain(struct virtio_vsock *vsock, struct vsock_connection *connection);
/* The place's side has ended: what it gives, or what it takes. */
void connection_host_ended(struct virtio_vsock *vsock, struct vsock_connection *connection);
void connection_host_is_deaf(struct virtio_vsock *vsock, struct vsock_connection *connection);

#endif
