/* SPDX-License-Identifier: MIT */
/*
 * The virtual switch between the machines of one host: a port a network card, frames copied from port to port, no machine's lock ever taken
 * by another.
 *
 * A sender, under its own machine's lock, puts a frame into the queues of those that it is for and wakes their owners; each owner, under
 * its own machine's lock, gives its card what waits. A full queue drops, as on any switch; a port that has used up its rate is held until it
 * has earned more, so that its card waits instead of losing.
 */
#ifndef HOSTS_METAL_BACKEND_SWITCH_H
#define HOSTS_METAL_BACKEND_SWITCH_H

#include "base/status.h"
#include "base/types.h"
#include "core/host.h"
#include "devices/backend/net.h"

#define SWITCH_PORTS_MAX 64
#define SWITCH_LEARNED_MAX 256 /* a power of two */
/* IP packets of 1500 bytes, with one VLAN tag. */
#define SWITCH_MTU 1500
#define SWITCH_FRAME_BYTES_MAX (SWITCH_MTU + NET_HEADER_BYTES + 4)
#define SWITCH_QUEUE_BYTES (256 * 1024)

struct net_switch;

struct switch_counts {
	u64 sent_frames, sent_bytes, received_frames, received_bytes;
	u64 refused; /* malformed, or with a source address that is not the port's */
	u64 lost;    /* of those for this port: its queue was full */
};

struct switch_port {
	struct net_backend backend;
	struct net_device device; /* for the board to fill */
	struct net_switch *owner;
	/* The only source address that its frames may have; not pinned: any, and where they are is learned. */
	bool is_pinned;
	u8 address[NET_ADDRESS_BYTES];
	/* 0: no limit. A burst of a tenth of a second, at least one frame. */
	u64 bytes_per_second;
	i64 credit; /* in bytes; below 0: held until it is paid off */
	u64 credited_ns;
	bool is_held;
	/* What waits for the card: whole frames, each behind its length. Written under the lock, read by the owner alone. */
	struct host_lock lock;
	u8 *queue;
	u32 first, end; /* offsets into the queue; equal: empty */
	/* There is something in an empty queue, or (time) something to be done at `wake_ns`: from any thread, takes no lock. */
	void (*wake)(void *context);
	void *context;
	struct switch_counts counts;
};

/* Where addresses are that no port is pinned to. */
struct switch_learned {
	u8 address[NET_ADDRESS_BYTES];
	u8 port; /* its index + 1; 0: none */
};

struct net_switch {
	struct host_lock lock; /* the table's */
	struct switch_port *ports[SWITCH_PORTS_MAX];
	unsigned port_count;
	struct switch_learned learned[SWITCH_LEARNED_MAX];
};

void switch_init(struct net_switch *net);
/*
 * Before machines run. The caller has filled is_pinned, address, bytes_per_second, wake and context. STATUS_NO_MEMORY;
 * STATUS_TOO_BIG: no more ports; STATUS_BUSY: another port is pinned to that address.
 */
enum status switch_add(struct net_switch *net, struct switch_port *port) must_use;
/*
 * What a woken owner does, with its machine's lock held: frames go to the card, and a held card goes on once it may. Returns when to call
 * again without having been woken: a time as host_time_ns has it, TIME_NEVER.
 */
u64 switch_port_run(struct switch_port *port);

#endif
