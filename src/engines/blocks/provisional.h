/* SPDX-License-Identifier: MIT */
/*
 * Pages with blocks that another vCPU may still write unseen, by a TLB entry from before they were watched. Of each there is a copy:
 * its blocks are decoded from the copy, so whether they are still what memory has is a comparison.
 */
#ifndef ENGINES_BLOCKS_PROVISIONAL_H
#define ENGINES_BLOCKS_PROVISIONAL_H

#include "core/machine.h"
#include "engines/blocks/block.h"

#define PROVISIONAL_MAX 256

struct provisional_page {
	u64 physical;
	const u8 *host;
	u32 awaits;			/* vCPUs that have not answered, */
	u32 awaited[MACHINE_VCPUS_MAX]; /* and their answers' numbers */
	u64 bytes[PAGE_SIZE / 8];
};

struct provisional {
	u32 count;
	bool is_overrun; /* there were more */
	struct provisional_page pages[PROVISIONAL_MAX];
};

/* NULL: it is not one. */
struct provisional_page *provisional_find(struct provisional *provisional, u64 physical);
/* Not there yet, and with nothing awaited. NULL: there is no room. */
struct provisional_page *provisional_add(
	struct provisional *provisional, u64 physical, const u8 *host);
void provisional_remove(struct provisional *provisional, struct provisional_page *page);
/* Makes the copy of these 64-byte granules what memory has; the granules that had changed. */
u64 provisional_refresh(struct provisional_page *page, u64 granules);

#endif
