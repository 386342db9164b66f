/* SPDX-License-Identifier: MIT */
/*
 * What a virtio device asks of the outside that is done by another process, whole requests at a time: vhost-user. The device has checked
 * where each buffer lies; the other process sees nothing of the guest's rings.
 */
#ifndef DEVICES_BACKEND_VHOST_H
#define DEVICES_BACKEND_VHOST_H

#include "base/types.h"

#define VHOST_QUEUES_MAX 16
#define VHOST_CONFIG_BYTES_MAX 64

/* A piece of guest memory. */
struct vhost_buffer {
	u64 offset; /* in the host's RAM: core/memory.h */
	u32 bytes;
	bool is_writable;
};

struct vhost_backend {
	/* Takes a request, which it knows by its token; false: no room now, and the device's `room` will be called. With machine->lock held. */
	bool (*submit)(void *context, unsigned queue, u16 token, const struct vhost_buffer *buffers,
		unsigned count) must_use;
	/* Begins what was submitted to the queue. With machine->lock held. */
	void (*start)(void *context, unsigned queue);
	/* Returns once nothing is in flight, or what is has been given up. Without machine->lock, while nobody submits. */
	void (*drain)(void *context);
	void *context;
	bool is_lost; /* the process has ended, or was given up: it takes nothing more */
	unsigned queues;
	u64 features; /* of the device's type */
	u8 config[VHOST_CONFIG_BYTES_MAX];
	unsigned config_bytes;
};

/* What the device gives to the place. All with machine->lock held. */
struct vhost_device {
	/* These bytes of guest memory have been written; before the done of the request that they belong to. */
	void (*written)(void *device, u64 offset, u64 bytes);
	/* A request has ended, with so many bytes written; exactly once. */
	void (*done)(void *device, unsigned queue, u16 token, u32 written);
	/* After a group of done: the guest hears of them, and there may be room. */
	void (*settle)(void *device, unsigned queue);
	/* is_lost has become true. What was in flight has been called done. */
	void (*lost)(void *device);
	void *device;
};

#endif
