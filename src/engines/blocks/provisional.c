/* SPDX-License-Identifier: MIT */
#include "engines/blocks/provisional.h"
#include "base/atomic.h"

#define GRANULE_WORDS (PAGE_SIZE / PAGE_GRANULES / 8)

struct provisional_page *provisional_find(struct provisional *provisional, u64 physical)
{
	for (u32 i = 0; i < provisional->count; i++)
		if (provisional->pages[i].physical == physical)
			return &provisional->pages[i];
	return NULL;
}

struct provisional_page *provisional_add(
	struct provisional *provisional, u64 physical, const u8 *host)
{
	if (provisional->count == PROVISIONAL_MAX) {
		provisional->is_overrun = true;
		return NULL;
	}
	struct provisional_page *page = &provisional->pages[provisional->count++];
	page->physical = physical;
	page->host = host;
	page->awaits = 0;
	return page;
}

void provisional_remove(struct provisional *provisional, struct provisional_page *page)
{
	const struct provisional_page *last = &provisional->pages[--provisional->count];
	if (page != last)
		*page = *last;
}

static bool granule_refresh(u64 *copy, const u8 *host)
{
	u64 difference = 0;
	for (unsigned i = 0; i < GRANULE_WORDS; i++) {
		u64 word = ram_load_64(host + 8 * i);
		difference |= copy[i] ^ word;
		copy[i] = word;
	}
	return difference;
}

u64 provisional_refresh(struct provisional_page *page, u64 granules)
{
	u64 changed = 0;
	for (u64 left = granules; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);
		if (granule_refresh(
			    page->bytes + i * GRANULE_WORDS, page->host + i * GRANULE_WORDS * 8))
			changed |= BIT(i);
	}
	return changed;
}
