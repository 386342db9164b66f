/* SPDX-License-Identifier: MIT */
/* A process that does a device's work, for tests and fuzzers: it keeps what it was given until it is told to end it. */
#ifndef HOSTS_FAKE_VHOST_H
#define HOSTS_FAKE_VHOST_H

#include "devices/backend/vhost.h"

#define FAKE_VHOST_REQUESTS_MAX 64
#define FAKE_VHOST_BUFFERS_MAX 8

struct fake_vhost_request {
	unsigned queue, count; /* buffers; the first FAKE_VHOST_BUFFERS_MAX are kept */
	u16 token;
	struct vhost_buffer buffers[FAKE_VHOST_BUFFERS_MAX];
};

struct fake_vhost {
	struct vhost_backend backend;
	struct vhost_device device; /* for the board to fill */
	bool has_no_room;
	unsigned starts;
	struct fake_vhost_request
		requests[FAKE_VHOST_REQUESTS_MAX]; /* in flight, the oldest first */
	unsigned count;
};

/* A folder: two queues, a configuration of 40 bytes. */
void fake_vhost_init(struct fake_vhost *vhost);
/* The oldest ends, `written` said to have been written. False: there is none. */
bool fake_vhost_finish(struct fake_vhost *vhost, u32 written);
/* The process has gone. */
void fake_vhost_lose(struct fake_vhost *vhost);

#endif
