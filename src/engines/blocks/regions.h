/* SPDX-License-Identifier: MIT */
/*
 * Where a cache keeps its blocks and what the engine adds to them: regions of equal size, filled one after the other. When the last one
 * is full the first is emptied and filled anew, and so on round: what is lost is what is oldest, and no more at a time than one
 * region holds.
 */
#ifndef ENGINES_BLOCKS_REGIONS_H
#define ENGINES_BLOCKS_REGIONS_H

#include "base/types.h"

#define REGIONS_MAX 32

struct block;

struct regions {
	u8 *arena;
	u64 bytes;	/* of a region */
	u64 used_bytes; /* of the current one */
	unsigned count, current;
	struct block *
		blocks[REGIONS_MAX]; /* of a region, the last made first; dropped ones among them */
};

/* Room that lasts until the region is emptied, aligned to 16 bytes; NULL: the current one has no such room left. */
static inline void *region_take(struct regions *regions, u64 bytes)
{
	if (bytes > regions->bytes - regions->used_bytes)
		return NULL;
	void *start = regions->arena + regions->current * regions->bytes + regions->used_bytes;
	regions->used_bytes += (bytes + 15) & ~(u64)15;
	return start;
}

static inline u64 region_room(const struct regions *regions)
{
	return regions->bytes - regions->used_bytes;
}

/* What region_take would give. */
static inline void *region_next(const struct regions *regions)
{
	return regions->arena + regions->current * regions->bytes + regions->used_bytes;
}

static inline bool region_has(const struct regions *regions, unsigned number, const void *at)
{
	return (u64)((const u8 *)at - (regions->arena + number * regions->bytes)) < regions->bytes;
}

#endif
