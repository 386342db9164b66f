/* SPDX-License-Identifier: MIT */
/* The other ends of sockets, for tests and fuzzers: each takes and gives what a test says. */
#ifndef HOSTS_FAKE_VSOCK_H
#define HOSTS_FAKE_VSOCK_H

#include "devices/backend/vsock.h"

struct fake_vsock_end {
	bool is_there, has_ended, output_ended,
		is_deaf; /* has_ended: its input, once all of it is read */
	u32 port;	 /* that was asked for, or that accepted said */
	/* What it gives: bytes that count from input_at on. */
	u64 input_at, input_bytes;
	/* What it took, and how much more it takes. */
	u64 taken, room;
	u8 output[256]; /* the first of it */
};

struct fake_vsock {
	struct vsock_backend backend;
	struct vsock_device device; /* for the board to fill */
	bool refuses;
	unsigned connects, accepts, closes, wakes;
	unsigned last; /* that connected or was accepted */
	struct fake_vsock_end ends[VSOCK_CONNECTIONS_MAX];
};

void fake_vsock_init(struct fake_vsock *vsock);

#endif
