/* SPDX-License-Identifier: MIT */
/*
 * What the vCPUs tell each other about code. Each has its own blocks and its own TLB, so
 *  - a write to a watched page is posted to every other vCPU that holds blocks of it, which drops them between blocks;
 *  - a vCPU that begins to watch a page asks all others that may write to it unseen (memory_writers) to give up the TLB entries by
 *    which they could. Until they have answered, the page is provisional (provisional.h).
 * A store to a watched page ends its block, so that all who watch have been told before the next instruction's effects are seen.
 * Blocks of a provisional page may be older than what another has told by a plain store, so they are compared with memory at each
 * serializing instruction, and once more when all have answered. So what cross-modifying code must do on a processor (SDM
 * volume 3, 9.1.3: write, tell, serialize) is enough here, and for code that does not, a block is soon dropped.
 */
#ifndef ENGINES_BLOCKS_INBOX_H
#define ENGINES_BLOCKS_INBOX_H

#include "core/machine.h"
#include "engines/blocks/block.h"
#include "engines/blocks/provisional.h"

#define INBOX_ENTRIES 1024
#define INBOX_LOOK_BACK 8 /* so many of the last entries are not posted again */

enum inbox_kind {
	INBOX_WRITTEN, /* drop the page's blocks */
	INBOX_REQUEST, /* give up write access to the page */
	INBOX_ANNOUNCE, /* to oneself: tell the others once more. A store is announced before it is done */
};

struct inbox_entry {
	u64 page;
	u8 kind; /* enum inbox_kind */
};

struct inbox {
	struct block_cache *cache;
	struct inbox *(*of)(struct vcpu *vcpu);
	u8 *watching; /* a bit a RAM page, in host order, atomic: this vCPU holds blocks of it */
	u64 watching_bytes;
	struct host_lock lock;
	u32 count;
	u32 overruns; /* bits of the kinds of which some were lost: everything is taken for written, or asked for */
	u32 asking;	 /* vCPUs whose requests are among them */
	bool drops_all;	 /* everything may have been written */
	u32 taken_count; /* under lock: times that the inbox was emptied */
	u32 done_count;	 /* atomic: the same, when all that was in it is done */
	u32 is_idle; /* atomic: its vCPU executes nothing, and looks into it before it does so again */
	struct provisional *provisional; /* the vCPU's own */
	struct inbox_entry entries[INBOX_ENTRIES];
	struct inbox_entry taken[INBOX_ENTRIES]; /* what inbox_empty works on */
};

enum status inbox_init(struct inbox *inbox, struct machine *machine, struct block_cache *cache,
	struct inbox *(*of)(struct vcpu *vcpu)) must_use;
void inbox_fini(struct inbox *inbox);

/* This vCPU begins or ends to hold blocks of a page. On its own thread. */
void inbox_watch(struct inbox *inbox, struct vcpu *vcpu, u64 physical, bool on);
/* To all vCPUs but `by` (NULL: none) that hold blocks of these pages. From any thread. */
void inbox_post_written(struct machine *machine, u64 gpa, u64 bytes, struct vcpu *by,
	struct inbox *(*of)(struct vcpu *vcpu));
/* What blocks of a page are decoded from, if not from memory; *changed: the granules of it that have just become others. */
const u8 *inbox_source(struct inbox *inbox, u64 physical, u64 *changed);
/* Does what was posted. On the vCPU's own thread, between blocks. has_serialized: the last instruction was a serializing one. */
void inbox_empty(struct inbox *inbox, struct vcpu *vcpu, bool has_serialized);
/* Is there something to see to after a serializing instruction, even if nothing was posted? */
static always_inline bool inbox_is_provisional(const struct inbox *inbox)
{
	return inbox->provisional->count;
}
/* The vCPU begins to execute; posts are looked at after this. It ends. On its own thread. */
void inbox_begin_run(struct inbox *inbox, struct vcpu *vcpu);
void inbox_end_run(struct inbox *inbox, struct vcpu *vcpu);

#endif
