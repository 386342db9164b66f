/* SPDX-License-Identifier: MIT */
/* The part of a repeated SCAS or CMPS that has no result: eight bytes at a time, where processors take an element. */
#include "x86/execute/string.h"

/* What all the comparisons of one skip have in common. */
struct skip {
	u64 low, high; /* the lowest bit, the highest bit of each element */
	i64 step;      /* from one word to the next */
	u64 words;
};

/* Words passed over: those of which all elements are equal or, with `equal` false, none is. other: NULL for `value`. */
static always_inline u64 skip_words(
	const struct skip *skip, const u8 *at, const u8 *other, u64 value, bool equal)
{
	u64 done = 0;
	for (; done < skip->words; done++) {
		u64 word = ram_load_64(at), with = other ? ram_load_64(other) : value;
		u64 difference = word ^ with;
		/* Some element is zero when one that is, or follows one that is, borrows from its highest bit. */
		u64 stop = equal ? difference : (difference - skip->low) & ~difference & skip->high;
		if (stop)
			break;
		at += skip->step;
		if (other)
			other += skip->step;
	}
	return done;
}

u64 string_skip(const u8 *at, const u8 *other, u64 value, u64 count, unsigned bytes, bool equal,
	bool backward)
{
	u64 mask = bits_mask(8 * bytes), low = ~(u64)0 / mask;
	u64 back = backward ? 8 - bytes : 0; /* from the current element to its word */
	struct skip skip = {.low = low,
		.high = low << (8 * bytes - 1),
		.step = backward ? -8 : 8,
		.words = (count - 1) * bytes / 8};
	u64 words;
	if (!skip.words)
		return 0;
	if (other)
		words = equal ? skip_words(&skip, at - back, other - back, 0, true)
			      : skip_words(&skip, at - back, other - back, 0, false);
	else
		words = equal ? skip_words(&skip, at - back, NULL, (value & mask) * low, true)
			      : skip_words(&skip, at - back, NULL, (value & mask) * low, false);
	return words * 8 / bytes;
}
