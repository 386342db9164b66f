/* SPDX-License-Identifier: MIT */
/*
 * What a socket device asks of the outside: for each connection of the guest's a stream of bytes each way.
 *
 * A connection is a number below VSOCK_CONNECTIONS_MAX, the device's to give. Nothing here blocks; all of it is called with machine->lock held.
 */
#ifndef DEVICES_BACKEND_VSOCK_H
#define DEVICES_BACKEND_VSOCK_H

#include "base/types.h"

#define VSOCK_CONNECTIONS_MAX 128

/* What read and write return besides a count of bytes. */
enum vsock_transfer {
	VSOCK_LATER = 0,  /* nothing now: the device wants to be told when */
	VSOCK_ENDED = -1, /* never again */
};

/* What the device wants to hear of a connection. */
enum vsock_wants {
	VSOCK_WANTS_INPUT = 1, /* there is something to read, or its end */
	VSOCK_WANTS_ROOM = 2,  /* there is room to write */
	VSOCK_WANTS_END = 4,   /* the other side has closed it */
};

struct vsock_backend {
	/* The guest wants the host's port: opened or refused follows, not within this call. False: refused at once. */
	bool (*connect)(void *context, unsigned connection, u32 port) must_use;
	/* The guest has taken a connection that `request` offered; `port` is the number of the host's end. */
	void (*accepted)(void *context, unsigned connection, u32 port);
	i32 (*read)(void *context, unsigned connection, u8 *to, u32 bytes);
	i32 (*write)(void *context, unsigned connection, const u8 *from, u32 bytes);
	/* Nothing more is written. */
	void (*end_output)(void *context, unsigned connection);
	/* The number is the device's again: nothing more is said of what it was. */
	void (*close)(void *context, unsigned connection);
	/* `wants` may answer more than before. */
	void (*wake)(void *context);
	void *context;
};

/* What the device gives to the place. All with machine->lock held. */
struct vsock_device {
	/* Someone wants the guest's port. The connection, for accepted or close; -1: the guest has no driver, or there are too many. */
	int (*request)(void *device, u32 port);
	void (*opened)(void *device, unsigned connection);
	void (*refused)(void *device, unsigned connection);
	unsigned (*wants)(
		void *device, unsigned connection); /* enum vsock_wants; 0: do not even look */
	void (*ready)(void *device, unsigned connection, unsigned wants);
	void *device;
};

#endif
