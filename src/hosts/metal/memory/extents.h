/* SPDX-License-Identifier: MIT */
/*
 * A set of addresses as an ordered list of pieces: what is free. Taking is first fit from below; what is given back joins its neighbours.
 * No lock, no host.
 */
#ifndef HOSTS_METAL_MEMORY_EXTENTS_H
#define HOSTS_METAL_MEMORY_EXTENTS_H

#include "base/types.h"

#define EXTENTS_MAX 1024

struct extent {
	u64 start, end;
};

struct extents {
	struct extent pieces[EXTENTS_MAX]; /* by start; none empty, none touching the next */
	unsigned count;
};

/* False: there is no room for another piece, and [start, end) is not in the set. Parts may be in it already. */
bool extents_add(struct extents *extents, u64 start, u64 end) must_use;
/* False: no room for the piece that is split, and nothing is changed. Parts need not be in the set. */
bool extents_remove(struct extents *extents, u64 start, u64 end) must_use;
/* Takes `bytes` at a multiple of alignment (a power of two) out of the set; false: there is no such piece. */
bool extents_take(struct extents *extents, u64 bytes, u64 alignment, u64 *start) must_use;
u64 extents_bytes(const struct extents *extents);

#endif
