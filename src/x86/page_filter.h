/* SPDX-License-Identifier: MIT */
/*
 * A set of pages that may answer "perhaps" for one it does not hold, never "no" for one that it does (a Bloom filter). What
 * is asked seldom (invalidations) so finds out quickly that it has nothing to do.
 */
#ifndef X86_PAGE_FILTER_H
#define X86_PAGE_FILTER_H

#include "base/bits.h"
#include "base/types.h"

#define PAGE_FILTER_BITS 4096

struct page_filter {
	u64 words[PAGE_FILTER_BITS / 64];
	bool is_filled; /* something was added */
};

static always_inline u64 page_filter_hash(u64 number)
{
	return number * 0x9e3779b97f4a7c15;
}

static always_inline void page_filter_add(struct page_filter *filter, u64 number)
{
	u64 hash = page_filter_hash(number);
	filter->words[hash >> 58] |= BIT(bits_get(hash, 52, 6));
	filter->words[bits_get(hash, 46, 6)] |= BIT(bits_get(hash, 40, 6));
	filter->is_filled = true;
}

static always_inline bool page_filter_may_hold(const struct page_filter *filter, u64 number)
{
	u64 hash = page_filter_hash(number);
	return (filter->words[hash >> 58] & BIT(bits_get(hash, 52, 6))) &&
		(filter->words[bits_get(hash, 46, 6)] & BIT(bits_get(hash, 40, 6)));
}

static inline void page_filter_clear(struct page_filter *filter)
{
	if (!filter->is_filled)
		return;
	for (unsigned i = 0; i < PAGE_FILTER_BITS / 64; i++)
		filter->words[i] = 0;
	filter->is_filled = false;
}

#endif
