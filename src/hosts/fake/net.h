/* SPDX-License-Identifier: MIT */
/* A network for tests and fuzzers: takes frames, or has no room; gives none but those that a test makes. */
#ifndef HOSTS_FAKE_NET_H
#define HOSTS_FAKE_NET_H

#include "devices/backend/net.h"

struct fake_net {
	struct net_backend backend;
	struct net_device device; /* for the board to fill */
	bool has_no_room;
	unsigned sent, resumed;
	/* The last frame that it took. */
	struct net_offload offload;
	u32 bytes;
	u8 frame[NET_FRAME_BYTES_MAX];
	/* What the driver has agreed on. */
	bool takes_checksum, takes_tcp4, takes_tcp6;
};

/* can_offload, is_trusted and mtu are the caller's to set. */
void fake_net_init(struct fake_net *net);

#endif
