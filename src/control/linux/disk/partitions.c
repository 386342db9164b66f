/* SPDX-License-Identifier: MIT */
#include "control/linux/disk/partitions.h"

#include <string.h>

#define SECTOR 512
#define LOGICAL_FIRST 5 /* the number of the first logical drive */
#define GPT_ENTRY_BYTES_MAX 4096

struct search {
	struct disk_view *disk;
	struct partition *found;
	unsigned count;
};

static u32 get_32(const u8 *at)
{
	u32 value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static u64 get_64(const u8 *at)
{
	u64 value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static bool read_sector(struct search *search, u64 sector, u8 to[SECTOR])
{
	return sector < search->disk->bytes / SECTOR &&
		search->disk->read(search->disk, sector * SECTOR, to, SECTOR) == STATUS_OK;
}

static void add(struct search *search, unsigned number, u64 sector, u64 sectors)
{
	u64 all = search->disk->bytes / SECTOR;

	if (search->count == PARTITIONS_MAX || !sectors || !sector || sector >= all)
		return;
	search->found[search->count++] =
		(struct partition){number, sector * SECTOR, MIN(sectors, all - sector) * SECTOR};
}

static void find_gpt(struct search *search)
{
	u8 header[SECTOR], entry[SECTOR];

	if (!read_sector(search, 1, header) || memcmp(header, "EFI PART", 8))
		return;
	u64 table = get_64(header + 72);
	u32 count = MIN(get_32(header + 80), PARTITIONS_MAX), bytes = get_32(header + 84);

	if (bytes < 128 || bytes % 8 || bytes > GPT_ENTRY_BYTES_MAX ||
		table >= search->disk->bytes / SECTOR)
		return;
	for (u32 i = 0; i < count; i++) {
		static const u8 no_type[16];

		if (search->disk->read(search->disk, table * SECTOR + (u64)i * bytes, entry, 128) !=
			STATUS_OK)
			return;
		u64 first = get_64(entry + 32), last = get_64(entry + 40);
		if (memcmp(entry, no_type, sizeof(no_type)) && last >= first && last + 1)
			add(search, i + 1, first, last - first + 1);
	}
}

static bool is_extended(u8 type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

/* Each logical drive has a table of its own: itself, and where the next table is. */
static void find_logical(struct search *search, u64 extended)
{
	u64 at = extended;
	u8 table[SECTOR];

	for (unsigned number = LOGICAL_FIRST; number < PARTITIONS_MAX; number++) {
		if (!read_sector(search, at, table) || table[510] != 0x55 || table[511] != 0xaa)
			return;
		const u8 *drive = table + 446, *next = table + 462;
		if (drive[4])
			add(search, number, at + get_32(drive + 8), get_32(drive + 12));
		if (!is_extended(next[4]) || !get_32(next + 8))
			return;
		at = extended + get_32(next + 8);
	}
}

static void find_mbr(struct search *search, const u8 *table)
{
	for (unsigned i = 0; i < 4; i++) {
		const u8 *entry = table + 446 + 16 * i;
		u32 first = get_32(entry + 8);

		if (entry[4] == 0xee)
			find_gpt(search);
		else if (is_extended(entry[4]) && first)
			find_logical(search, first);
		else if (entry[4])
			add(search, i + 1, first, get_32(entry + 12));
	}
}

/* A boot sector of a file system ends like a table; the states of its would-be partitions tell them apart. */
static bool is_table(const u8 *sector)
{
	return sector[510] == 0x55 && sector[511] == 0xaa && !(sector[446] & 0x7f) &&
		!(sector[462] & 0x7f) && !(sector[478] & 0x7f) && !(sector[494] & 0x7f);
}

unsigned partitions_find(struct disk_view *disk, struct partition found[PARTITIONS_MAX])
{
	struct search search = {.disk = disk, .found = found};
	u8 first[SECTOR];

	if (read_sector(&search, 0, first) && is_table(first))
		find_mbr(&search, first);
	if (!search.count) {
		found[0] = (struct partition){0, 0, disk->bytes};
		search.count = 1;
	}
	return search.count;
}
