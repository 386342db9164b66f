/* SPDX-License-Identifier: MIT */
/* Partition tables of any contents: what is found lies on the disk. The first byte says how large the disk is, the rest is its beginning. */
#include <stdlib.h>
#include <string.h>

#include "control/linux/disk/partitions.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct {
	struct disk_view view;
	const u8 *bytes;
	size_t count;
} disk;

static enum status disk_read(struct disk_view *view, u64 offset, void *to, size_t bytes)
{
	u64 there = offset < disk.count ? MIN(bytes, disk.count - offset) : 0;

	if (there)
		memcpy(to, disk.bytes + offset, there);
	memset((u8 *)to + there, 0, bytes - there);
	return STATUS_OK;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct partition found[PARTITIONS_MAX];
	unsigned count;

	if (!size)
		return 0;
	disk.bytes = data + 1;
	disk.count = size - 1;
	disk.view = (struct disk_view){(u64)data[0] << 13, disk_read};
	count = partitions_find(&disk.view, found);
	if (!count || count > PARTITIONS_MAX)
		abort();
	for (unsigned i = 0; i < count; i++) {
		if (found[i].offset > disk.view.bytes ||
			found[i].bytes > disk.view.bytes - found[i].offset)
			abort();
	}
	return 0;
}
