/* SPDX-License-Identifier: MIT */
/*
 * Decoded code, cached by guest-physical page: one cache a vCPU. A block is a run of instructions that begins where control
 * came in, and ends at the first one that may change RIP or mode, at the page's end, or at a length limit.
 *
 * A page with blocks is watched (core/memory.h; and no TLB entry allows plain writes to it). A write drops exactly the
 * blocks in the 64-byte granules that it touches. Dropped blocks stay in memory until their region (regions.h) is emptied, which
 * happens only between blocks.
 */
#ifndef ENGINES_BLOCKS_BLOCK_H
#define ENGINES_BLOCKS_BLOCK_H

#include "base/status.h"
#include "engines/blocks/regions.h"
#include "x86/cpu.h"

#define BLOCK_INSNS_MAX 64
#define BLOCK_NEVER ((u32)~0) /* heat: it is not to be translated */
#define PAGE_GRANULES 64      /* of 64 bytes */

struct translation;

struct block {
	struct block *next; /* in the page's chain */
	struct block *next_in_region;
	struct translation *translation; /* the translator's, or NULL */
	u32 count;			 /* instructions; 0: dropped */
	u32 heat;			 /* how often it was found, for the translator */
	u16 offset;			 /* in the page */
	u16 bytes;			 /* what it was decoded from */
	u8 code_size;			 /* enum insn_size */
	u8 insns_made;			 /* count before it was dropped */
	bool is_user;			 /* found at CPL 3 */
	struct code_page *page;
	/* One instruction that goes on in another page (not in 16-bit code), and the next such block there. */
	struct code_page *next_page;
	struct block *next_crossing;
	struct insn insns[];
};

struct code_page {
	struct code_page *next; /* in the hash chain, or of the free ones */
	struct code_page *next_touched;
	bool is_touched; /* in a list of those that have lost blocks */
	u64 physical;
	u64 granules;			     /* where there are blocks */
	struct block *chains[PAGE_GRANULES]; /* by the granule in which a block begins */
	struct block *crossing;		     /* blocks that begin in another page and end here */
};

#define PAGE_HASH 4096
#define JUMP_CACHE 4096

/* Where control went before: the way past paging and the page's chains. */
struct jump_entry {
	u64 linear;
	u64 key; /* what else must be the same: code_key or code_key_global, CPL, code size */
	struct block *block;
};

struct block_cache {
	struct cpu *cpu;
	struct regions regions;
	struct code_page *pages[PAGE_HASH];
	struct code_page *page_pool, *free_pages;
	u32 pages_used, pages_max; /* of the pool */
	struct jump_entry jumps[JUMP_CACHE];
	/* For code that cannot be cached (across a page end, or not in RAM): room for a block of one. */
	u64 single[(sizeof(struct block) + sizeof(struct insn)) / 8];
	/* The pages' flags are the machine's. */
	void (*watch)(struct cpu *cpu, u64 physical, bool on);
	/*
	 * What blocks of a page are decoded from; NULL: memory. *changed: granules of it that are not what they were when it was last asked,
	 * whose blocks go.
	 */
	const u8 *(*source)(struct cpu *cpu, u64 physical, u64 *changed);
	/* The translator's, or NULL: a block with a translation is dropped; all blocks are; a region begins anew. */
	void (*dropped)(struct block_cache *cache, struct block *block);
	void (*all_dropped)(struct block_cache *cache);
	void (*region_begins)(struct block_cache *cache);
	u64 emptied;	     /* times that all was */
	u64 regions_emptied; /* and that one region was */
};

static always_inline struct block *block_single(struct block_cache *cache)
{
	return (struct block *)cache->single;
}

enum status block_cache_init(struct block_cache *cache, struct cpu *cpu, u64 arena_bytes,
	unsigned regions, void (*watch)(struct cpu *cpu, u64 physical, bool on)) must_use;
void block_cache_fini(struct block_cache *cache);
void block_cache_empty(struct block_cache *cache);
/* The current region is full: the oldest is emptied, and is the current one from now on. */
void block_cache_advance(struct block_cache *cache);
/* Bytes were, or are about to be, written. physical may span pages. True when a block was dropped. */
bool block_cache_written(struct block_cache *cache, u64 physical, u64 bytes);

/* By granules of one page; and where there are blocks. */
void block_cache_changed(struct block_cache *cache, u64 physical, u64 granules);
u64 block_cache_granules(struct block_cache *cache, u64 physical);

/* The block at RIP, made if need be; raises what fetching brings. Never empty. */
struct block *block_find_slow(struct block_cache *cache);

/* code_key: one of the two. */
static always_inline u64 block_key(const struct cpu *cpu, u64 code_key)
{
	return code_key << 3 | (cpu->cpl == 3) << 2 | cpu->code_size;
}

static always_inline bool block_key_holds(const struct cpu *cpu, u64 key)
{
	return key == block_key(cpu, cpu->code_key) || key == block_key(cpu, cpu->code_key_global);
}

static always_inline u64 block_linear(const struct cpu *cpu)
{
	u64 rip = cpu->regs[RIP];
	return cpu->code_size == SIZE_64 ? rip : (u32)(rip + cpu->segments[SEGMENT_CS].base);
}

static always_inline struct jump_entry *block_jump_entry(struct block_cache *cache, u64 linear)
{
	return &cache->jumps[(linear ^ linear >> 12) & (JUMP_CACHE - 1)];
}

/*
 * Outside 64-bit code: does all of the block lie below CS's limit? It may have been made, or found by its linear address, under another CS.
 */
static always_inline bool block_within_limit(const struct cpu *cpu, const struct block *block)
{
	u64 offset = (u32)cpu->regs[RIP];
	if (likely(cpu->code_size == SIZE_64))
		return true;
	unsigned bytes = block->next_page ? block->insns[0].length : block->bytes;
	return offset + bytes - 1 <= cpu->segments[SEGMENT_CS].limit;
}

/* block_find_slow with the quick way before it. */
static always_inline struct block *block_find(struct block_cache *cache)
{
	u64 linear = block_linear(cache->cpu);
	const struct jump_entry *entry = block_jump_entry(cache, linear);
	if (likely(entry->linear == linear && block_key_holds(cache->cpu, entry->key) &&
		    entry->block->count && block_within_limit(cache->cpu, entry->block)))
		return entry->block;
	return block_find_slow(cache);
}

#endif
