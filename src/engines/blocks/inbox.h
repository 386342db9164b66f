/* SPDX-License-Identifier: MIT */
/*
 * What the vCPUs tell each other about code. Each has its own blocks and its own TLB, so
 *  - a write to a watched page is posted to every other vCPU that holds blocks of it, which drops them between blocks;
 *  - the first vCPU that begins to watch a page asks all others to give up the TLB entries by which they could write to it
 *    unseen; one that had such an entry tells all who watch by then of a write, since it may have used it until then.
 * A store to a watched page ends its block, so that all who watch have been told before the next instruction's effects are seen.
 * Until all others have answered its request, a page is provisional: its blocks may be older than what another has told by a plain
 * store, so they are dropped at each serializing instruction. So what cross-modifying code must do on a processor (SDM
 * volume 3, 9.1.3: write, tell, serialize) is enough here, and for code that does not, a block is soon dropped.
 */
#ifndef ENGINES_BLOCKS_INBOX_H
#define ENGINES_BLOCKS_INBOX_H

#include "core/machine.h"
#include "engines/blocks/block.h"

#define INBOX_ENTRIES 512
#define INBOX_PROVISIONAL 64

enum inbox_kind {
	INBOX_WRITTEN, /* drop the page's blocks */
	INBOX_REQUEST, /* give up write access to the page; from: who asks */
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
	bool is_overrun; /* some posts were lost: everything is taken for written and asked for */
	bool drops_all;	 /* everything may have been written */
	u64 retired;	 /* the vCPU's instructions when the inbox was last empty */
	u32 taken_count; /* under lock: times that the inbox was emptied */
	u32 done_count;	 /* atomic: the same, when all that was in it is done */
	u32 is_idle; /* atomic: its vCPU executes nothing, and looks into it before it does so again */
	/* The vCPU's own: the requests that others have not answered, bits of `awaits`, and the pages that wait for them. */
	u32 awaits;
	u32 awaited[MACHINE_VCPUS_MAX]; /* done_count from which on it has answered */
	u32 provisional_count;		/* past INBOX_PROVISIONAL: every page */
	u64 provisional[INBOX_PROVISIONAL];
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
/*
 * Does what was posted. On the vCPU's own thread, between blocks. retired: its instructions so far; has_serialized: the last one was
 * a serializing one.
 */
void inbox_empty(struct inbox *inbox, struct vcpu *vcpu, u64 retired, bool has_serialized);
/* The vCPU begins to execute; posts are looked at after this. It ends. On its own thread. */
void inbox_begin_run(struct inbox *inbox);
void inbox_end_run(struct inbox *inbox, struct vcpu *vcpu, u64 retired);

#endif
