/* SPDX-License-Identifier: MIT */
/*
 * What the vCPUs tell each other about code. Each has its own blocks and its own TLB, so
 *  - a write to a watched page is posted to every other vCPU that holds blocks of it, which drops them between blocks;
 *  - the first vCPU that begins to watch a page asks all others to give up the TLB entries by which they could write to it
 *    unseen; one that had such an entry tells all who watch by then of a write, since it may have used it until then.
 * So a block is stale at most until the vCPU that wrote ends its own current block, which is before it can have told anybody by an
 * interrupt. What cross-modifying code must do on a processor (SDM volume 3, 9.1.3: tell, then serialize) is enough here.
 */
#ifndef ENGINES_INTERPRETER_INBOX_H
#define ENGINES_INTERPRETER_INBOX_H

#include "core/machine.h"
#include "engines/interpreter/block.h"

#define INBOX_ENTRIES 512

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
	u64 retired;	 /* the vCPU's instructions when it last emptied the inbox */
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
/* Does what was posted. On the vCPU's own thread, between blocks; retired: its instructions so far. */
void inbox_empty(struct inbox *inbox, struct vcpu *vcpu, u64 retired);

#endif
