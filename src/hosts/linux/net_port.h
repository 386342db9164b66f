/* SPDX-License-Identifier: MIT */
/* One card's way to the outside. */
#ifndef HOSTS_LINUX_NET_PORT_H
#define HOSTS_LINUX_NET_PORT_H

#include <pthread.h>

#include "core/host.h"
#include "devices/backend/net.h"

/*
 * More than a guest's TCP offers as its window, usually: while the device has no room frames are still taken, since passt drops what its
 * socket has no room for and sends it again only after two seconds.
 */
#define NET_PORT_INPUT_BYTES (4 << 20)

struct machine;

struct net_port {
	struct net_backend backend;
	struct net_device device; /* set by the board */
	struct machine *machine;
	const char *name; /* for messages: "net 1" */
	int fd, wake;	  /* an eventfd */
	bool is_tap;	  /* else a stream socket, with each frame's length before it */
	pthread_t thread;
	bool is_started;
	u32 is_closing; /* atomic */
	u32 is_gone;	/* atomic: the other side has ended */

	/* Guarded by machine->lock: what a full socket has left of the last frame, and whether the device waits for room. */
	u8 output[NET_FRAME_BYTES_MAX + 4];
	u32 output_start, output_end;
	u32 wants_room; /* atomic: poll for it */
	/* The thread's own. */
	u8 input[NET_PORT_INPUT_BYTES];
	u32 input_start, input_end;
	u32 device_is_full; /* atomic: frames wait for resume_input */
};

/* port is zeroed. False: no descriptor left. */
bool net_port_init(struct net_port *port, const char *name, int fd, bool is_tap) must_use;
bool net_port_start(struct net_port *port, struct machine *machine) must_use;
void net_port_finish(struct net_port *port);

#endif
