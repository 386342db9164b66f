/* SPDX-License-Identifier: MIT */
/* Finding, making and dropping blocks. */
#include "engines/blocks/block.h"
#include "base/atomic.h"
#include "base/memory.h"
#include "core/host.h"
#include "x86/decode/decode.h"
#include "x86/model.h"
#include "x86/paging.h"
#include "x86/raise.h"

static struct code_page **page_bucket(struct block_cache *cache, u64 physical)
{
	return &cache->pages[(physical >> PAGE_SHIFT) & (PAGE_HASH - 1)];
}

static struct code_page *page_find(struct block_cache *cache, u64 physical)
{
	struct code_page *page = *page_bucket(cache, physical);
	while (page && page->physical != physical)
		page = page->next;
	return page;
}

#define PAGE_POOL_SHARE 2048 /* bytes of the arena that a page has on average, or more */

enum status block_cache_init(struct block_cache *cache, struct cpu *cpu, u64 arena_bytes,
	unsigned regions, void (*watch)(struct cpu *cpu, u64 physical, bool on))
{
	cache->pages_max = (u32)(arena_bytes / PAGE_POOL_SHARE);
	cache->page_pool = host_memory_get(cache->pages_max * sizeof(struct code_page));
	cache->regions = (struct regions){.arena = host_memory_get(arena_bytes),
		.bytes = arena_bytes / regions & ~(u64)15,
		.count = regions};
	if (!cache->regions.arena || !cache->page_pool) {
		block_cache_fini(cache);
		return STATUS_NO_MEMORY;
	}
	cache->cpu = cpu;
	cache->watch = watch;
	cache->dropped = NULL;
	cache->all_dropped = NULL;
	cache->region_begins = NULL;
	block_cache_empty(cache);
	cache->emptied = 0;
	return STATUS_OK;
}

void block_cache_fini(struct block_cache *cache)
{
	host_memory_put(cache->regions.arena, cache->regions.bytes * cache->regions.count);
	host_memory_put(cache->page_pool, cache->pages_max * sizeof(struct code_page));
}

/* A block that is never valid: what unused jump entries point to. */
static void jump_forget(struct block_cache *cache, struct jump_entry *entry)
{
	*entry = (struct jump_entry){.linear = ~(u64)0, .block = block_single(cache)};
}

void block_cache_empty(struct block_cache *cache)
{
	for (unsigned i = 0; i < PAGE_HASH; i++) {
		for (struct code_page *page = cache->pages[i]; page; page = page->next)
			cache->watch(cache->cpu, page->physical, false);
		cache->pages[i] = NULL;
	}
	cache->free_pages = NULL;
	cache->pages_used = 0;
	block_single(cache)->count = 0;
	for (unsigned i = 0; i < JUMP_CACHE; i++)
		jump_forget(cache, &cache->jumps[i]);
	for (unsigned i = 0; i < cache->regions.count; i++)
		cache->regions.blocks[i] = NULL;
	cache->regions.used_bytes = cache->regions.current = 0;
	if (cache->all_dropped)
		cache->all_dropped(cache);
	cache->cpu->insn = NULL; /* it was there */
	cache->emptied++;
}

/* The granules of a page that [offset, offset + bytes) touches. */
static u64 granule_mask(u64 offset, u64 bytes)
{
	u64 first = offset / PAGE_GRANULES, last = (offset + bytes - 1) / PAGE_GRANULES;
	return bits_mask(last - first + 1) << first;
}

#define CROSSING_BYTES 14 /* at most, of an instruction in its second page */

static void unlink_block(struct block *block)
{
	struct block **link = &block->page->chains[block->offset / PAGE_GRANULES];
	while (*link != block)
		link = &(*link)->next;
	*link = block->next;
	if (!block->next_page)
		return;
	link = &block->next_page->crossing;
	while (*link != block)
		link = &(*link)->next_crossing;
	*link = block->next_crossing;
}

static void drop_block(struct block_cache *cache, struct block *block)
{
	unlink_block(block);
	block->count = 0;
	if (block->translation)
		cache->dropped(cache, block);
}

/* Drops the page's blocks in `written` granules, and recomputes where there are still some. */
static bool drop_blocks(struct block_cache *cache, struct code_page *page, u64 written)
{
	u64 remaining = 0;
	bool dropped = false;
	for (unsigned i = 0; i < PAGE_GRANULES; i++) {
		for (struct block *block = page->chains[i], *next; block; block = next) {
			u64 mask = granule_mask(block->offset, block->bytes);
			next = block->next;
			if (mask & written) {
				drop_block(cache, block);
				dropped = true;
			} else {
				remaining |= mask;
			}
		}
	}
	for (; page->crossing && written & 1; dropped = true)
		drop_block(cache, page->crossing);
	page->granules = remaining | (page->crossing != NULL);
	return dropped;
}

/* ---- a region begins anew ------------------------------------------------------------------------- */

static u64 page_granules(const struct code_page *page)
{
	u64 granules = page->crossing != NULL;
	for (unsigned i = 0; i < PAGE_GRANULES; i++)
		for (const struct block *block = page->chains[i]; block; block = block->next)
			granules |= granule_mask(block->offset, block->bytes);
	return granules;
}

static void page_free(struct block_cache *cache, struct code_page *page)
{
	struct code_page **link = page_bucket(cache, page->physical);
	while (*link != page)
		link = &(*link)->next;
	*link = page->next;
	page->next = cache->free_pages;
	cache->free_pages = page;
}

/* Without blocks, and so not watched. */
static void free_empty_pages(struct block_cache *cache)
{
	for (unsigned i = 0; i < PAGE_HASH; i++)
		for (struct code_page *page = cache->pages[i], *next; page; page = next) {
			next = page->next;
			if (!page->granules)
				page_free(cache, page);
		}
}

static void touch(struct code_page **touched, struct code_page *page)
{
	if (!page || page->is_touched)
		return;
	page->is_touched = true;
	page->next_touched = *touched;
	*touched = page;
}

static void drop_region(struct block_cache *cache, unsigned number)
{
	struct code_page *touched = NULL;
	for (struct block *block = cache->regions.blocks[number]; block;
		block = block->next_in_region) {
		if (!block->count)
			continue;
		touch(&touched, block->page);
		touch(&touched, block->next_page);
		drop_block(cache, block);
	}
	cache->regions.blocks[number] = NULL;
	for (struct code_page *page = touched; page; page = page->next_touched) {
		page->is_touched = false;
		page->granules = page_granules(page);
		if (page->granules)
			continue;
		cache->watch(cache->cpu, page->physical, false);
		page_free(cache, page);
	}
}

void block_cache_advance(struct block_cache *cache)
{
	struct regions *regions = &cache->regions;
	regions->current = (regions->current + 1) % regions->count;
	regions->used_bytes = 0;
	drop_region(cache, regions->current);
	for (unsigned i = 0; i < JUMP_CACHE; i++)
		if (region_has(regions, regions->current, cache->jumps[i].block))
			jump_forget(cache, &cache->jumps[i]);
	if (!cache->free_pages && cache->pages_used == cache->pages_max)
		free_empty_pages(cache);
	if (cache->region_begins)
		cache->region_begins(cache);
	cache->cpu->insn = NULL; /* it may have been there */
	cache->regions_emptied++;
}

/* ---- writes ---------------------------------------------------------------------------------------- */

static bool page_changed(struct block_cache *cache, struct code_page *page, u64 granules)
{
	if (!page || !(page->granules & granules))
		return false;
	bool dropped = drop_blocks(cache, page, granules);
	if (!page->granules)
		cache->watch(cache->cpu, page->physical, false);
	return dropped;
}

void block_cache_changed(struct block_cache *cache, u64 physical, u64 granules)
{
	page_changed(cache, page_find(cache, physical), granules);
}

u64 block_cache_granules(struct block_cache *cache, u64 physical)
{
	const struct code_page *page = page_find(cache, physical);
	return page ? page->granules : 0;
}

bool block_cache_written(struct block_cache *cache, u64 physical, u64 bytes)
{
	bool dropped = false;
	while (bytes) {
		u64 offset = physical & ~PAGE_MASK;
		u64 here = MIN(bytes, PAGE_SIZE - offset);
		dropped |= page_changed(
			cache, page_find(cache, physical & PAGE_MASK), granule_mask(offset, here));
		physical += here;
		bytes -= here;
	}
	return dropped;
}

static struct block *chain_find(const struct cpu *cpu, struct code_page *page, u64 offset)
{
	struct block *block = page->chains[offset / PAGE_GRANULES];
	while (block &&
		(block->offset != offset || block->code_size != cpu->code_size ||
			block->is_user != (cpu->cpl == 3)))
		block = block->next;
	return block;
}

static struct code_page *page_take(struct block_cache *cache)
{
	struct code_page *page = cache->free_pages;
	if (page)
		cache->free_pages = page->next;
	else if (cache->pages_used < cache->pages_max)
		page = &cache->page_pool[cache->pages_used++];
	return page;
}

/* NULL: there is no room. */
static struct code_page *page_get(struct block_cache *cache, u64 physical)
{
	struct code_page *page = page_find(cache, physical);
	if (!page) {
		page = page_take(cache);
		if (!page)
			return NULL;
		memset(page, 0, sizeof(*page));
		page->physical = physical;
		struct code_page **bucket = page_bucket(cache, physical);
		page->next = *bucket;
		*bucket = page;
	}
	return page;
}

/*
 * How many code bytes may be taken from linear on, at most `bytes`: in 16- and 32-bit code, up to CS's limit and
 * the wrap of the offset. None: #GP.
 */
static u64 limit_bytes(struct cpu *cpu, u64 bytes)
{
	if (cpu->code_size == SIZE_64)
		return bytes;
	u64 offset = (u32)cpu->regs[RIP], limit = cpu->segments[SEGMENT_CS].limit;
	if (offset > limit)
		raise_gp(cpu, 0);
	return MIN(bytes, limit - offset + 1);
}

/* One instruction that no page holds whole, or that is not in RAM: decoded anew each time. */
static struct block *single_insn(struct block_cache *cache, u64 linear)
{
	struct cpu *cpu = cache->cpu;
	u8 bytes[15];
	unsigned allowed = (unsigned)limit_bytes(cpu, sizeof(bytes));
	unsigned available = paging_fetch(cpu, linear, bytes, allowed);
	struct insn *insn = &block_single(cache)->insns[0];
	if (decode(bytes, available, cpu->code_size, cpu->model->features, insn) ==
		DECODE_INCOMPLETE) {
		if (available < allowed)
			paging_fetch_probe(cpu,
				cpu->code_size == SIZE_64 ? linear + available
							  : (u32)(linear + available));
		raise_gp(cpu, 0);
	}
	block_single(cache)->count = 1;
	return block_single(cache);
}

/* Decodes a block at `offset` of the page into the region's free space; NULL: no room. *count 0: not cacheable. */
static struct block *decode_block(
	struct block_cache *cache, const u8 *host, u64 offset, u64 available, bool *cacheable)
{
	struct cpu *cpu = cache->cpu;
	struct block *block = region_next(&cache->regions);
	*cacheable = true;
	if (region_room(&cache->regions) < sizeof(*block) + BLOCK_INSNS_MAX * sizeof(struct insn))
		return NULL;
	*block = (struct block){
		.offset = offset, .code_size = cpu->code_size, .is_user = cpu->cpl == 3};
	while (block->count < BLOCK_INSNS_MAX && block->bytes < available) {
		struct insn *insn = &block->insns[block->count];
		u8 bytes[16] = {0};
		unsigned here = (unsigned)MIN(available - block->bytes, 15);
		/* Others may write the page meanwhile: the copy is what is decoded. */
		ram_copy_code(bytes, host + offset + block->bytes, here);
		enum decode_result result =
			decode(bytes, here, cpu->code_size, cpu->model->features, insn);
		if (result == DECODE_INCOMPLETE)
			break;
		block->count++;
		block->bytes += MIN(insn->length, here);
		if (result != DECODE_OK || (insn->flags & INSN_ENDS_BLOCK))
			break;
	}
	*cacheable = block->count;
	return block;
}

/* What the page's blocks are decoded from. It is watched. */
static const u8 *page_source(struct block_cache *cache, struct code_page *page, const u8 *host)
{
	u64 changed;
	const u8 *source = cache->source(cache->cpu, page->physical, &changed);
	if (changed & page->granules)
		drop_blocks(cache, page, changed);
	return source ? source : host;
}

/* From here on writes to it are told. */
static void page_begin(struct block_cache *cache, struct code_page *page)
{
	if (page->granules)
		return;
	cache->watch(cache->cpu, page->physical, true);
	tlb_protect_physical(&cache->cpu->tlb, page->physical);
}

/* It holds nothing after all. */
static void page_end(struct block_cache *cache, struct code_page *page)
{
	if (!page->granules)
		cache->watch(cache->cpu, page->physical, false);
}

static void page_add(struct block_cache *cache, struct code_page *page, struct block *block)
{
	struct block **chain = &page->chains[block->offset / PAGE_GRANULES];
	struct block **in_region = &cache->regions.blocks[cache->regions.current];
	region_take(&cache->regions, sizeof(*block) + block->count * sizeof(struct insn));
	block->next_in_region = *in_region;
	*in_region = block;
	block->page = page;
	block->insns_made = (u8)block->count;
	block->next = *chain;
	*chain = block;
	page->granules |= granule_mask(block->offset, block->bytes);
}

static struct block *make_block(
	struct block_cache *cache, u64 linear, const struct code_location *at, bool *full)
{
	u64 offset = linear & ~PAGE_MASK;
	u64 available = limit_bytes(cache->cpu, PAGE_SIZE - offset);
	bool cacheable;
	struct code_page *page = page_get(cache, at->physical);
	*full = true;
	if (!page)
		return NULL;
	page_begin(cache, page);
	struct block *block = decode_block(
		cache, page_source(cache, page, at->host), offset, available, &cacheable);
	*full = !block;
	if (!block || !cacheable) {
		page_end(cache, page);
		return NULL;
	}
	page_add(cache, page, block);
	return block;
}

/* The instruction's bytes in two pages. */
static void crossing_decode(
	struct block_cache *cache, struct block *block, const u8 *host, const u8 *next_host)
{
	struct cpu *cpu = cache->cpu;
	u8 bytes[16] = {0};
	ram_copy_code(bytes, host + block->offset, block->bytes);
	ram_copy_code(bytes + block->bytes, next_host, 15 - block->bytes);
	(void)!decode(bytes, 15, cpu->code_size, cpu->model->features, &block->insns[0]);
	block->count = 1;
}

/* A block of the one instruction at the page's end. NULL: no room. */
static struct block *make_crossing(struct block_cache *cache, u64 linear,
	const struct code_location *at, const struct code_location *next)
{
	struct cpu *cpu = cache->cpu;
	struct code_page *page = page_get(cache, at->physical);
	struct code_page *next_page = page ? page_get(cache, next->physical) : NULL;
	struct block *block = region_next(&cache->regions);
	if (!next_page || region_room(&cache->regions) < sizeof(*block) + 2 * sizeof(struct insn))
		return NULL;
	page_begin(cache, page);
	if (next_page != page)
		page_begin(cache, next_page);
	*block = (struct block){.offset = (u16)(linear & ~PAGE_MASK),
		.bytes = (u16)(PAGE_SIZE - (linear & ~PAGE_MASK)),
		.code_size = cpu->code_size,
		.is_user = cpu->cpl == 3};
	const u8 *host = page_source(cache, page, at->host);
	crossing_decode(cache, block, host, page_source(cache, next_page, next->host));
	page_add(cache, page, block);
	block->next_page = next_page;
	block->next_crossing = next_page->crossing;
	next_page->crossing = block;
	next_page->granules |= granule_mask(0, CROSSING_BYTES);
	return block;
}

/* Is that where the next bytes are? 32-bit code may end at CS's limit, or go on at address 0. */
static bool goes_on_in_next_page(const struct cpu *cpu, u64 linear)
{
	if (cpu->code_size == SIZE_64)
		return true;
	return cpu->code_size == SIZE_32 && cpu->segments[SEGMENT_CS].limit == 0xffffffff &&
		(u32)(linear | ~PAGE_MASK) != 0xffffffff;
}

/*
 * The one that is there already, or a new one. at->is_global becomes what both pages are. NULL: by single_insn.
 */
static struct block *crossing_get(
	struct block_cache *cache, u64 linear, struct block *block, struct code_location *at)
{
	struct cpu *cpu = cache->cpu;
	struct code_location next;
	if (!goes_on_in_next_page(cpu, linear) ||
		PAGE_SIZE - (linear & ~PAGE_MASK) > CROSSING_BYTES ||
		!paging_code_page(cpu, (linear & PAGE_MASK) + PAGE_SIZE, &next))
		return NULL;
	if (block && block->next_page->physical != next.physical) {
		drop_block(cache, block); /* mapped otherwise here */
		block = NULL;
	}
	at->is_global &= next.is_global;
	return block ? block : make_crossing(cache, linear, at, &next);
}

/* The block at RIP in the page `at`, found or made. NULL: it cannot be cached. */
static struct block *block_get(struct block_cache *cache, u64 linear, struct code_location *at)
{
	struct code_page *page = page_find(cache, at->physical);
	struct block *block = page ? chain_find(cache->cpu, page, linear & ~PAGE_MASK) : NULL;
	bool full;
	if (block)
		return block->next_page ? crossing_get(cache, linear, block, at) : block;
	block = make_block(cache, linear, at, &full);
	while (full) {
		block_cache_advance(cache);
		block = make_block(cache, linear, at, &full);
	}
	return block ? block : crossing_get(cache, linear, NULL, at);
}

struct block *block_find_slow(struct block_cache *cache)
{
	struct cpu *cpu = cache->cpu;
	u64 linear = block_linear(cpu);
	struct code_location at;
	limit_bytes(cpu, 1);
	if (!paging_code_page(cpu, linear, &at))
		return single_insn(cache, linear);
	struct block *block = block_get(cache, linear, &at);
	if (!block || !block_within_limit(cpu, block))
		return single_insn(cache, linear);
	struct jump_entry *entry = block_jump_entry(cache, linear);
	u64 code_key = at.is_global ? cpu->code_key_global : cpu->code_key;
	*entry = (struct jump_entry){
		.linear = linear, .key = block_key(cpu, code_key), .block = block};
	return block;
}
