/* SPDX-License-Identifier: MIT */
#include "hosts/linux/vhost_message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define MESSAGE_VERSION 1u
#define MESSAGE_REPLY 4u

enum status vhost_fail(const struct vhost_port *port, const char *what, struct error *error)
{
	return error_set(error, STATUS_IO, "%s: vhost-user: %s", port->name, what);
}

static enum status vhost_fail_errno(const struct vhost_port *port, struct error *error)
{
	bool has_ended = errno == EPIPE || errno == ECONNRESET;

	return vhost_fail(port, has_ended ? "the other side has ended" : strerror(errno), error);
}

enum status vhost_send(const struct vhost_port *port, struct vhost_message *message,
	enum vhost_request request, size_t bytes, const int *fds, unsigned fd_count,
	struct error *error)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(VHOST_REGIONS * sizeof(int))];
	} control = {{0}};
	struct iovec part = {message, VHOST_HEADER_BYTES + bytes};
	struct msghdr envelope = {.msg_iov = &part, .msg_iovlen = 1};

	message->request = (u32)request;
	message->flags = MESSAGE_VERSION;
	message->bytes = (u32)bytes;
	if (fd_count) {
		envelope.msg_control = &control;
		envelope.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(fd_count * sizeof(int))};
		memcpy(CMSG_DATA(&control.header), fds, fd_count * sizeof(int));
	}
	return sendmsg(port->socket, &envelope, MSG_NOSIGNAL) == (ssize_t)part.iov_len
		? STATUS_OK
		: vhost_fail_errno(port, error);
}

static enum status receive(
	const struct vhost_port *port, void *to, size_t bytes, struct error *error)
{
	ssize_t got = recv(port->socket, to, bytes, MSG_WAITALL);

	if (got == (ssize_t)bytes)
		return STATUS_OK;
	if (got < 0 && errno == EAGAIN)
		return vhost_fail(port, "no answer", error);
	return got < 0 ? vhost_fail_errno(port, error)
		       : vhost_fail(port, "the other side has ended", error);
}

enum status vhost_ask(const struct vhost_port *port, struct vhost_message *message,
	enum vhost_request request, size_t bytes, struct error *error)
{
	enum status status = vhost_send(port, message, request, bytes, NULL, 0, error);

	if (status == STATUS_OK)
		status = receive(port, message, VHOST_HEADER_BYTES, error);
	if (status != STATUS_OK)
		return status;
	if (message->request != (u32)request || !(message->flags & MESSAGE_REPLY) ||
		message->bytes > sizeof(*message) - VHOST_HEADER_BYTES)
		return vhost_fail(port, "an answer that is none", error);
	return receive(port, &message->value, message->bytes, error);
}

enum status vhost_ask_value(
	const struct vhost_port *port, enum vhost_request request, u64 *value, struct error *error)
{
	struct vhost_message message = {0};
	enum status status = vhost_ask(port, &message, request, 0, error);

	if (status == STATUS_OK)
		*value = message.value;
	return status;
}

enum status vhost_tell_value(
	const struct vhost_port *port, enum vhost_request request, u64 value, struct error *error)
{
	struct vhost_message message = {.value = value};

	return vhost_send(port, &message, request, sizeof(u64), NULL, 0, error);
}

enum status vhost_tell_ring(const struct vhost_port *port, enum vhost_request request, u32 index,
	u32 value, struct error *error)
{
	struct vhost_message message = {.ring = {index, value}};

	return vhost_send(port, &message, request, sizeof(message.ring), NULL, 0, error);
}

enum status vhost_tell_eventfd(const struct vhost_port *port, enum vhost_request request, u32 index,
	int fd, struct error *error)
{
	struct vhost_message message = {.value = index};

	return vhost_send(port, &message, request, sizeof(u64), &fd, 1, error);
}
