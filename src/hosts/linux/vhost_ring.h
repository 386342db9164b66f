/* SPDX-License-Identifier: MIT */
/*
 * The driver's side of a split virtqueue, in memory that is shared with the process that does the work. What that process writes into it is
 * checked; what of a request is needed again is kept beside it. Source: Virtual I/O Device specification 1.2, 2.7.
 */
#ifndef HOSTS_LINUX_VHOST_RING_H
#define HOSTS_LINUX_VHOST_RING_H

#include "devices/backend/vhost.h"

#define VHOST_RING_SIZE 1024
/* Where its three parts lie, and all that it takes. */
#define VHOST_RING_AVAILABLE 0x4000
#define VHOST_RING_USED 0x5000
#define VHOST_RING_BYTES 0x8000

struct vhost_ring {
	u8 *memory;
	int kick, call; /* eventfds */
	u16 next_available, next_used;
	u16 free, free_count; /* descriptors: a chain, by next */
	struct vhost_slot {
		struct vhost_buffer buffer;
		u16 next, token;
		bool is_head, has_next;
	} slots[VHOST_RING_SIZE];
};

/* memory is zeroed. */
void vhost_ring_init(struct vhost_ring *ring, u8 *memory);
/* False: there are not so many descriptors free. */
bool vhost_ring_submit(struct vhost_ring *ring, u16 token, const struct vhost_buffer *buffers,
	unsigned count) must_use;
/* The other side wants to be woken. */
bool vhost_ring_wants_kick(const struct vhost_ring *ring) must_use;

enum vhost_ring_result { VHOST_RING_EMPTY, VHOST_RING_DONE, VHOST_RING_BROKEN };
/* The next request that has ended: its first slot, and what is said to have been written, at most what it had room for. */
enum vhost_ring_result vhost_ring_take(struct vhost_ring *ring, u16 *head, u32 *written) must_use;
/* Its descriptors are free again. */
void vhost_ring_release(struct vhost_ring *ring, u16 head);

#endif
