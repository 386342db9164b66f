/* SPDX-License-Identifier: MIT */
/*
 * The inline TLB that interpreter and translator share. It caches linear pages that are plain RAM: a hit
 * needs one compare and an addition; MMIO, watched pages (with decoded code, for writes), page ends and misses go
 * to x86/paging.c, which walks the page tables and calls the environment.
 *
 * Every address space that was used lately has a context of its own, found by its PCID, so that going back to it is a change of
 * pointers. In a context there is one array of entries a mode, because the same page differs by privilege. An entry is
 * always right for its mode: A is set in whatever was entered for reading, D in whatever was entered for writing. Global
 * pages are entered in the context that met them; what drops them drops them in all.
 *
 * Beside the entries a TLB keeps code keys. As long as a key is the same, every code page that was resolved under it is
 * where it was, though its entry may have been displaced. (x86/paging.c copies the keys to where engines look.)
 */
#ifndef X86_TLB_H
#define X86_TLB_H

#include "base/bits.h"
#include "base/types.h"
#include "x86/page_filter.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE ((u64)1 << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))

#define TLB_ENTRIES 2048 /* an array; a power of two */
#define TLB_CONTEXTS 8	 /* Linux uses six PCIDs a processor */

enum tlb_mode {
	TLB_SUPERVISOR, /* CPL 0-2, SMAP in force; implicit accesses of the processor to its tables */
	TLB_USER,	/* CPL 3 */
	TLB_SUPERVISOR_USER_OK, /* CPL 0-2 and user pages allowed: SMAP off, or RFLAGS.AC set */
	TLB_USER_ALIGNED, /* CPL 3 under alignment checking: never filled, so that all accesses are slow */
	TLB_MODES,
	TLB_MODES_FILLED = TLB_USER_ALIGNED
};

/*
 * No page. Translated code looks for page addresses with the bits below the operand's alignment: not one of these either,
 * or an unaligned access to page 0 would find it.
 */
#define TLB_INVALID BIT(11)

struct tlb_entry {
	u64 read;    /* linear page address that may be read here, or TLB_INVALID */
	u64 write;   /* written */
	u64 execute; /* fetched */
	u64 addend;  /* host address = linear address + addend */
};

/* What the low bits of an array's `physical` say. */
#define TLB_GLOBAL BIT(0)
#define TLB_LARGE BIT(1) /* a piece of a 2 or 4 MiB page */
#define TLB_HUGE BIT(2)	 /* a piece of a 1 GiB page */
/*
 * It may be written, D is set, but when it was last looked at, writes had to be announced: they go by paging.c, which asks the
 * environment again instead of walking the tables.
 */
#define TLB_WATCHED BIT(3)

/*
 * What is displaced from its place goes to the second way, `TLB_ENTRIES` further on, where only a miss looks: two streams at a
 * distance that maps them to one place (copies within aligned buffers) get along. What a slow access finds there comes back to the
 * first: a page that is used all the time would else pay for one that displaced it once.
 */
#define TLB_SLOTS (2 * TLB_ENTRIES)

#define TLB_GROUP (TLB_SLOTS / 64) /* entries a bit of `used` stands for */

struct tlb_array {
	struct tlb_entry entries[TLB_SLOTS]
		__attribute__((aligned(64))); /* none in two cache lines */
	u64 physical[TLB_SLOTS]; /* page's guest-physical address, and the bits above */
	/* A bit a group of entries, so that flushes visit only what may be filled. */
	u64 used;  /* something is entered */
	u64 local; /* something not global is */
	u8 halves; /* where anything is entered: 1, addresses below 2^47; 2, above */
	struct page_filter large[2]; /* regions with pieces of large pages; [1]: of global ones */
	struct page_filter writable; /* guest-physical pages that may be entered for writing */
};

struct tlb_context {
	struct tlb_array arrays[TLB_MODES_FILLED];
	u64 code_key;
	u64 global_key; /* tlb->code_key_global when code_key was last right */
	struct page_filter
		executed; /* pages not global that were resolved for execution under code_key */
	u64 last_used;	  /* 0: never, and the arrays are not even empty */
	u16 pcid;
};

struct tlb {
	struct tlb_context *current;
	struct tlb_entry *by_mode[TLB_MODES]; /* the current context's entries */
	u64 keys, uses;			      /* counters that give the next ones */
	u64 code_key_global;
	struct page_filter executed_global;
	u8 global_halves; /* where global pages may be entered, or were resolved for execution */
	struct tlb_entry none[TLB_SLOTS]; /* TLB_USER_ALIGNED's */
	struct tlb_context contexts[TLB_CONTEXTS];
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
 * Enters what `permissions` say for linear's page in the current context; those that the entry has already, and TLB_WATCHED,
 * stay when it is the same translation. physical: the page's address and the low bits above. host: where the page is.
 */
void tlb_enter(struct tlb *tlb, enum tlb_mode mode, u64 linear, u64 physical, const u8 *host,
	unsigned permissions);
/* The entry at index + TLB_ENTRIES changes places with the first way's, where accesses look first. */
void tlb_promote(struct tlb *tlb, enum tlb_mode mode, unsigned index);
/* Takes note that code at linear was resolved under the current keys. size: TLB_LARGE, TLB_HUGE, or neither. */
void tlb_note_executed(struct tlb *tlb, u64 linear, bool is_global, unsigned size);

/* Makes new memory (zeroes are not an empty TLB) one empty context, of PCID 0. Keys go on. */
void tlb_init(struct tlb *tlb);
/* Changes to a PCID's context, with what it has or, if there is none, empty. */
void tlb_select(struct tlb *tlb, u16 pcid);

/*
 * Which entries: those of one PCID that are not global, global ones (of all PCIDs), or both. The functions give new keys
 * where a code page may be concerned.
 */
enum tlb_scope { TLB_SCOPE_LOCAL = 1, TLB_SCOPE_GLOBAL = 2, TLB_SCOPE_BOTH = 3 };

void tlb_flush_used(struct tlb *tlb);		      /* everything */
void tlb_flush_non_global(struct tlb *tlb, u16 pcid); /* of one PCID */
void tlb_flush_non_global_all(struct tlb *tlb);	      /* of all */
void tlb_flush_page(struct tlb *tlb, u16 pcid, u64 linear, enum tlb_scope scope);
/* No entry allows writing to the guest-physical page any more (it holds decoded code now). True: one did. */
bool tlb_protect_physical(struct tlb *tlb, u64 physical_page);

#endif
