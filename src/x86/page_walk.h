/* SPDX-License-Identifier: MIT */
/*
 * One walk of the guest's page tables, in steps: read the entries, judge an access, set accessed and dirty bits. APM
 * volume 2 chapter 5; SDM volume 3 chapter 4. For x86/paging.c.
 */
#ifndef X86_PAGE_WALK_H
#define X86_PAGE_WALK_H

#include "x86/access.h"
#include "x86/cpu.h"

struct page_walk {
	u64 physical; /* of the linear address's 4 KiB page */
	u32 error;    /* after a failed walk: PF_PRESENT, PF_RESERVED as the error code has them */
	bool is_writable, is_user, is_executable, is_global, is_dirty;
	bool is_accessed; /* all entries are */
	u8 size;	  /* 0, TLB_LARGE or TLB_HUGE */

	/* The entries on the way, with an accessed bit, as they were read; the last is the leaf. */
	unsigned count;
	u8 entry_bytes;
	u64 address[4], value[4];
};

/* Reads the tables; false when the address is not mapped. CR0.PG clear: identity. */
bool page_walk(struct cpu *cpu, u64 linear, struct page_walk *walk);
bool page_walk_allows(
	const struct cpu *cpu, const struct page_walk *walk, enum access_kind kind, unsigned mode);
/* Sets A on all levels and, for a write, D on the leaf; false: an entry has changed, walk again. */
bool page_walk_mark(struct cpu *cpu, struct page_walk *walk, bool is_write);
/* The error code of the #PF. */
u32 page_walk_error(
	const struct cpu *cpu, const struct page_walk *walk, enum access_kind kind, unsigned mode);

/*
 * PAE paging's four page directory pointers, at physical `table`: false when one has a reserved bit set. Only then
 * are they not taken over.
 */
bool page_walk_load_pdptes(struct cpu *cpu, u64 table);

#endif
