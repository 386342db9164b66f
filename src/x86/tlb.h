/* SPDX-License-Identifier: MIT */
/*
 * The inline TLB that interpreter and translator share. It caches linear pages that are plain RAM: a hit
 * needs one compare and an addition; MMIO, watched pages (with decoded code, for writes), page ends and misses go
 * to x86/paging.c, which walks the page tables and calls the environment.
 *
 * One array of entries a mode, because the same page differs by privilege. An entry is always right for its
 * mode: A is set in whatever was entered for reading, D in whatever was entered for writing.
 */
#ifndef X86_TLB_H
#define X86_TLB_H

#include "base/bits.h"
#include "base/types.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE ((u64)1 << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))

#define TLB_ENTRIES 1024 /* a mode; a power of two */

enum tlb_mode {
	TLB_SUPERVISOR, /* CPL 0-2, SMAP in force; implicit accesses of the processor to its tables */
	TLB_USER,	/* CPL 3 */
	TLB_SUPERVISOR_USER_OK, /* CPL 0-2 and user pages allowed: SMAP off, or RFLAGS.AC set */
	TLB_USER_ALIGNED, /* CPL 3 under alignment checking: never filled, so that all accesses are slow */
	TLB_MODES
};

#define TLB_INVALID ((u64)1) /* no page: page addresses have low bits clear */

struct tlb_entry {
	u64 read;    /* linear page address that may be read here, or TLB_INVALID */
	u64 write;   /* written */
	u64 execute; /* fetched */
	u64 addend;  /* host address = linear address + addend */
};

/* What the low bits of tlb->physical say. */
#define TLB_GLOBAL BIT(0)
#define TLB_LARGE BIT(1) /* a piece of a 2 or 4 MiB page */
#define TLB_HUGE BIT(2)	 /* a piece of a 1 GiB page */

#define TLB_GROUP (TLB_ENTRIES / 64) /* entries a bit of `used` stands for */

struct tlb {
	struct tlb_entry entries[TLB_MODES][TLB_ENTRIES];
	u64 physical[TLB_MODES]
		    [TLB_ENTRIES]; /* page's guest-physical address, and the bits above */
	/* A bit a group of entries, so that flushes visit only what may be filled. */
	u64 used[TLB_MODES];  /* something is entered */
	u64 local[TLB_MODES]; /* something not global is */
};

static always_inline unsigned tlb_index(u64 linear)
{
	return (linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1);
}

/* True when an access of `bytes` at linear does not stay within one page. */
static always_inline bool tlb_crosses_page(u64 linear, unsigned bytes)
{
	return (linear & ~PAGE_MASK) > PAGE_SIZE - bytes;
}

enum tlb_permission { TLB_READ = 1, TLB_WRITE = 2, TLB_EXECUTE = 4 };

/*
 * Enters what `permissions` say for linear's page; those that the entry has already stay when it is the same
 * translation. physical: the page's address and the low bits above. host: where the page is.
 */
void tlb_enter(struct tlb *tlb, enum tlb_mode mode, u64 linear, u64 physical, const u8 *host,
	unsigned permissions);

/* Empties new memory (zeroes are not an empty TLB). */
void tlb_flush_all(struct tlb *tlb);
/* Empties what has been filled since. */
void tlb_flush_used(struct tlb *tlb);
void tlb_flush_non_global(struct tlb *tlb);
void tlb_flush_page(struct tlb *tlb, u64 linear);
/* No entry allows writing to the guest-physical page any more (it holds decoded code now). */
bool tlb_protect_physical(struct tlb *tlb, u64 physical_page);
/* Forgets everything about a physical page or, with ~0, all (the machine's memory map changed). */
void tlb_forget_physical(struct tlb *tlb, u64 physical_page);

#endif
