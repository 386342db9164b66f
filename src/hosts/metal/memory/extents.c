/* SPDX-License-Identifier: MIT */
#include "hosts/metal/memory/extents.h"
#include "base/bits.h"
#include "base/memory.h"

static void insert(struct extents *extents, unsigned at, u64 start, u64 end)
{
	memmove(&extents->pieces[at + 1], &extents->pieces[at],
		(extents->count - at) * sizeof(struct extent));
	extents->pieces[at] = (struct extent){start, end};
	extents->count++;
}

static void erase(struct extents *extents, unsigned at, unsigned count)
{
	memmove(&extents->pieces[at], &extents->pieces[at + count],
		(extents->count - at - count) * sizeof(struct extent));
	extents->count -= count;
}

/* The first piece that ends at or behind `address`. */
static unsigned find(const struct extents *extents, u64 address)
{
	unsigned i = 0;
	while (i < extents->count && extents->pieces[i].end < address)
		i++;
	return i;
}

bool extents_add(struct extents *extents, u64 start, u64 end)
{
	if (start >= end)
		return true;
	unsigned first = find(extents, start), last = first;
	while (last < extents->count && extents->pieces[last].start <= end) {
		start = MIN(start, extents->pieces[last].start);
		end = MAX(end, extents->pieces[last].end);
		last++;
	}
	if (first == last) {
		if (extents->count == EXTENTS_MAX)
			return false;
		insert(extents, first, start, end);
		return true;
	}
	extents->pieces[first] = (struct extent){start, end};
	erase(extents, first + 1, last - first - 1);
	return true;
}

bool extents_remove(struct extents *extents, u64 start, u64 end)
{
	unsigned i = find(extents, start);
	while (start < end && i < extents->count && extents->pieces[i].start < end) {
		struct extent *piece = &extents->pieces[i];
		u64 piece_end = piece->end;
		if (piece->start < start && piece_end > end) {
			if (extents->count == EXTENTS_MAX)
				return false;
			piece->end = start;
			insert(extents, i + 1, end, piece_end);
			return true;
		}
		if (piece->start < start) {
			piece->end = MIN(piece_end, start);
			i++;
		} else if (piece_end > end) {
			piece->start = end;
			return true;
		} else {
			erase(extents, i, 1);
		}
	}
	return true;
}

bool extents_take(struct extents *extents, u64 bytes, u64 alignment, u64 *start)
{
	for (unsigned i = 0; bytes && i < extents->count; i++) {
		u64 at = align_up(extents->pieces[i].start, alignment);
		if (at < extents->pieces[i].start || at > extents->pieces[i].end ||
			bytes > extents->pieces[i].end - at)
			continue;
		if (!extents_remove(extents, at, at + bytes))
			continue;
		*start = at;
		return true;
	}
	return false;
}

u64 extents_bytes(const struct extents *extents)
{
	u64 bytes = 0;
	for (unsigned i = 0; i < extents->count; i++)
		bytes += extents->pieces[i].end - extents->pieces[i].start;
	return bytes;
}
