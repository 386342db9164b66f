/* SPDX-License-Identifier: MIT */
#include "hosts/metal/memory/paging.h"
#include "base/bits.h"
#include "base/check.h"
#include "hosts/metal/boot/layout.h"
#include "hosts/metal/instructions.h"
#include "hosts/metal/memory/frames.h"
#include "hosts/metal/memory/image.h"

#define PAGE_PRESENT BIT(0)
#define PAGE_WRITABLE BIT(1)
#define PAGE_WRITE_THROUGH BIT(3)
#define PAGE_CACHE_DISABLE BIT(4)
#define PAGE_LARGE BIT(7)
#define PAGE_NO_EXECUTE BIT(63)
#define PAGE_ADDRESS 0x000ffffffffff000u

#define FLAGS_DATA (PAGE_PRESENT | PAGE_WRITABLE | PAGE_NO_EXECUTE)
#define FLAGS_CONSTANT (PAGE_PRESENT | PAGE_NO_EXECUTE)
#define FLAGS_CODE PAGE_PRESENT
#define FLAGS_DEVICE (FLAGS_DATA | PAGE_CACHE_DISABLE | PAGE_WRITE_THROUGH)

extern u8 boot_stack[];
static u64 *root;

static u64 *table_new(void)
{
	u64 *table = frames_get(FRAME_BYTES, FRAME_BYTES);
	check(table);
	return table;
}

/* A 2 MiB page becomes 512 of 4 KiB. */
static u64 *table_split(u64 entry)
{
	u64 *table = table_new();
	for (unsigned i = 0; i < 512; i++)
		table[i] = (entry & ~PAGE_LARGE) + i * FRAME_BYTES;
	return table;
}

/* The entry of `linear` at a level: 0 for 4 KiB pages, 1 for 2 MiB; tables on the way are made. */
static u64 *entry_find(u64 linear, unsigned level)
{
	u64 *table = root;
	for (unsigned at = 3; at > level; at--) {
		u64 *entry = &table[bits_get(linear, 12 + 9 * at, 9)];
		if (!*entry)
			*entry = (u64)table_new() | PAGE_PRESENT | PAGE_WRITABLE;
		else if (*entry & PAGE_LARGE)
			*entry = (u64)table_split(*entry) | PAGE_PRESENT | PAGE_WRITABLE;
		table = (u64 *)(*entry & PAGE_ADDRESS);
	}
	return &table[bits_get(linear, 12 + 9 * level, 9)];
}

static bool is_mapped(u64 linear)
{
	const u64 *table = root;
	for (unsigned at = 3;; at--) {
		u64 entry = table[bits_get(linear, 12 + 9 * at, 9)];
		if (!(entry & PAGE_PRESENT) || !at || (at < 3 && (entry & PAGE_LARGE)))
			return entry & PAGE_PRESENT;
		table = (const u64 *)(entry & PAGE_ADDRESS);
	}
}

/* Over what there is, or only what there is not. Addresses are those of pages. */
static void map(u64 start, u64 end, u64 flags, bool over)
{
	while (start < end) {
		bool large = !(start % LARGE_FRAME_BYTES) && end - start >= LARGE_FRAME_BYTES &&
			!*entry_find(start, 1);
		if (large) {
			*entry_find(start, 1) = start | flags | PAGE_LARGE;
			start += LARGE_FRAME_BYTES;
			continue;
		}
		if (over || !is_mapped(start)) {
			*entry_find(start, 0) = start | flags;
			tlb_invalidate(start);
		}
		start += FRAME_BYTES;
	}
}

static void map_missing(u64 physical, u64 bytes, u64 flags)
{
	map(align_down(physical, FRAME_BYTES), align_up(physical + bytes, FRAME_BYTES), flags,
		false);
}

void paging_init(const struct boot_info *info)
{
	root = table_new();
	for (unsigned i = 0; i < info->range_count; i++)
		if (info->ranges[i].type == BOOT_RAM)
			map_missing(info->ranges[i].start, info->ranges[i].bytes, FLAGS_DATA);
	map((u64)image_start, (u64)text_end, FLAGS_CODE, true);
	map((u64)text_end, (u64)rodata_end, FLAGS_CONSTANT, true);
	paging_unmap_page(NULL);
	paging_unmap_page(boot_stack);
	cr3_set((u64)root);
}

u64 paging_root(void)
{
	return (u64)root;
}

void paging_map_device(u64 physical, u64 bytes)
{
	map_missing(physical, bytes, FLAGS_DEVICE);
}

const void *paging_map_table(u64 physical, u64 bytes)
{
	map_missing(physical, bytes, FLAGS_CONSTANT);
	return (const void *)physical;
}

void paging_set_executable(u64 physical, bool is_executable)
{
	map(physical, physical + FRAME_BYTES, is_executable ? FLAGS_CODE : FLAGS_DATA, true);
}

void paging_unmap_page(const void *page)
{
	*entry_find((u64)page, 0) = 0;
	tlb_invalidate((u64)page);
}
