/* SPDX-License-Identifier: MIT */
/* vhost-user's messages: before the process is locked in, one after the other, each waited for. Source: QEMU's documentation, interop/vhost-user. */
#ifndef HOSTS_LINUX_VHOST_MESSAGE_H
#define HOSTS_LINUX_VHOST_MESSAGE_H

#include "hosts/linux/vhost_user.h"

enum vhost_request {
	VHOST_GET_FEATURES = 1,
	VHOST_SET_FEATURES = 2,
	VHOST_SET_OWNER = 3,
	VHOST_SET_MEM_TABLE = 5,
	VHOST_SET_VRING_NUM = 8,
	VHOST_SET_VRING_ADDR = 9,
	VHOST_SET_VRING_BASE = 10,
	VHOST_SET_VRING_KICK = 12,
	VHOST_SET_VRING_CALL = 13,
	VHOST_GET_PROTOCOL_FEATURES = 15,
	VHOST_SET_PROTOCOL_FEATURES = 16,
	VHOST_GET_QUEUE_NUM = 17,
	VHOST_SET_VRING_ENABLE = 18,
	VHOST_GET_CONFIG = 24,
};

#define VHOST_REGIONS 2

struct vhost_message {
	u32 request, flags, bytes;
	union {
		u64 value;
		struct {
			u32 index, value;
		} ring;
		struct {
			u32 index, flags;
			u64 descriptors, used, available, log;
		} address;
		struct {
			u32 count, padding;
			struct {
				u64 guest_address, bytes, user_address, offset;
			} regions[VHOST_REGIONS];
		} memory;
		struct {
			u32 offset, bytes, flags;
			u8 content[VHOST_CONFIG_BYTES_MAX];
		} config;
	};
} __attribute__((packed));
#define VHOST_HEADER_BYTES offsetof(struct vhost_message, value)

/* STATUS_IO, with the port's name. */
enum status vhost_fail(const struct vhost_port *port, const char *what, struct error *error);
/* fds go with it. */
enum status vhost_send(const struct vhost_port *port, struct vhost_message *message,
	enum vhost_request request, size_t bytes, const int *fds, unsigned fd_count,
	struct error *error) must_use;
/* The answer is in *message, of at most its own size. */
enum status vhost_ask(const struct vhost_port *port, struct vhost_message *message,
	enum vhost_request request, size_t bytes, struct error *error) must_use;
enum status vhost_ask_value(const struct vhost_port *port, enum vhost_request request, u64 *value,
	struct error *error) must_use;
enum status vhost_tell_value(const struct vhost_port *port, enum vhost_request request, u64 value,
	struct error *error) must_use;
enum status vhost_tell_ring(const struct vhost_port *port, enum vhost_request request, u32 index,
	u32 value, struct error *error) must_use;
enum status vhost_tell_eventfd(const struct vhost_port *port, enum vhost_request request, u32 index,
	int fd, struct error *error) must_use;

#endif
