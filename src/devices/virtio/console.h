/* SPDX-License-Identifier: MIT */
/* A console of one port, without size. Source: Virtual I/O Device specification 1.2, 5.3. */
#ifndef DEVICES_VIRTIO_CONSOLE_H
#define DEVICES_VIRTIO_CONSOLE_H

#include "devices/backend/console.h"
#include "devices/virtio/virtio.h"

struct virtio_console_config {
	u16 columns, rows;
	u32 ports;
	u32 emergency_write;
};

struct virtio_console {
	struct virtio virtio;
	struct console_backend backend;
	struct virtio_console_config config;
	u64 sent; /* of the next chain to transmit: what the place has taken already */
	struct virtqueue_chain chain;
};

/* console is zeroed. `common` needs bus, slot, interrupt_line and name. */
enum status virtio_console_init(struct virtio_console *console, struct virtio_parameters *common,
	const struct console_backend *backend) must_use;
void virtio_console_fini(struct virtio_console *console);
/* What the place gives its input to. */
struct console_device virtio_console_device(struct virtio_console *console);

#endif
