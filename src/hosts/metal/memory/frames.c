/* SPDX-License-Identifier: MIT */
#include "hosts/metal/memory/frames.h"
#include "base/bits.h"
#include "base/check.h"
#include "hosts/metal/memory/extents.h"
#include "hosts/metal/memory/image.h"
#include "hosts/metal/spinlock.h"

/* What firmware, the legacy devices and the other processors' first instructions use. */
#define LOW_END MIB

static struct extents free_frames;
static struct spinlock lock;

static void take_out(u64 start, u64 end)
{
	check(extents_remove(
		&free_frames, align_down(start, FRAME_BYTES), align_up(end, FRAME_BYTES)));
}

void frames_init(const struct boot_info *info)
{
	for (unsigned i = 0; i < info->range_count; i++) {
		const struct boot_range *range = &info->ranges[i];
		u64 start = align_up(range->start, FRAME_BYTES);
		u64 end = align_down(range->start + range->bytes, FRAME_BYTES);
		if (range->type == BOOT_RAM)
			check(extents_add(&free_frames, start, end));
	}
	for (unsigned i = 0; i < info->range_count; i++)
		if (info->ranges[i].type != BOOT_RAM)
			take_out(info->ranges[i].start,
				info->ranges[i].start + info->ranges[i].bytes);
	take_out(0, LOW_END);
	take_out((u64)image_start, (u64)image_end);
	take_out(info->module_start, info->module_start + info->module_bytes);
}

/* A page at a time by REP STOSQ: the quick form where STOSB is emulated. */
static void clear(void *at, u64 bytes)
{
	u64 words = bytes / 8;
	__asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"((u64)0) : "memory");
}

void *frames_get(u64 bytes, u64 alignment)
{
	u64 start;
	bytes = align_up(MAX(bytes, 1), FRAME_BYTES);
	spinlock_take(&lock);
	bool found = extents_take(&free_frames, bytes, MAX(alignment, FRAME_BYTES), &start);
	spinlock_release(&lock);
	if (!found)
		return NULL;
	clear((void *)start, bytes);
	return (void *)start;
}

void frames_put(void *frames, u64 bytes)
{
	u64 start = (u64)frames;
	spinlock_take(&lock);
	/* In too many pieces already: what does not fit into the list is lost until the next boot. */
	bool kept = extents_add(&free_frames, start, start + align_up(MAX(bytes, 1), FRAME_BYTES));
	spinlock_release(&lock);
	(void)kept;
}

u64 frames_free_bytes(void)
{
	spinlock_take(&lock);
	u64 bytes = extents_bytes(&free_frames);
	spinlock_release(&lock);
	return bytes;
}
