/* SPDX-License-Identifier: MIT */
/* From a cluster of the disk to its entry: the L1 table is in memory, L2 tables are in a cache. */
#include <errno.h>
#include <string.h>

#include "hosts/linux/qcow2/internal.h"

enum cluster_kind entry_kind(const struct qcow2 *image, u64 entry)
{
	if (entry & ENTRY_COMPRESSED)
		return CLUSTER_COMPRESSED;
	if (image->header.version >= 3 && entry & ENTRY_ZERO)
		return CLUSTER_ZERO;
	return entry & OFFSET_MASK ? CLUSTER_DATA : CLUSTER_UNALLOCATED;
}

u64 entry_offset(u64 entry)
{
	return entry & OFFSET_MASK;
}

void entry_packed(const struct qcow2 *image, u64 entry, u64 *offset, u64 *bytes)
{
	u32 bits = 62 - (image->header.cluster_bits - 8);
	u64 sectors = (entry & (ENTRY_COMPRESSED - 1)) >> bits;

	*offset = entry & ((1ull << bits) - 1);
	*bytes = (sectors + 1) * 512 - *offset % 512;
}

static u64 index_of(const struct qcow2 *image, u64 cluster)
{
	return cluster & ((1ull << image->l2_bits) - 1);
}

static struct l2_table *find_cached(struct qcow2 *image, u64 l1_index)
{
	for (unsigned i = 0; i < image->l2_count; i++) {
		struct l2_table *table = &image->l2[i];

		if (table->used && table->l1_index == l1_index) {
			table->used = ++image->clock;
			return table;
		}
	}
	return NULL;
}

static struct l2_table *oldest(struct qcow2 *image)
{
	struct l2_table *table = &image->l2[0];

	for (unsigned i = 1; i < image->l2_count; i++) {
		if (image->l2[i].used < table->used)
			table = &image->l2[i];
	}
	return table;
}

/* A table to be filled, empty. */
static enum status make_room(struct qcow2 *image, struct l2_table **table)
{
	enum status status = STATUS_OK;

	*table = oldest(image);
	if ((*table)->dirty)
		status = qcow2_flush(image);
	if (status == STATUS_OK)
		(*table)->used = 0;
	return status;
}

/* Of an image that is only read nothing was checked before. */
static bool is_sound(const struct qcow2 *image, u64 offset)
{
	return !(offset % image->cluster_bytes) && offset < image->file->view.bytes;
}

/* *table is NULL where L1 has none. */
static enum status find_table(struct qcow2 *image, u64 l1_index, struct l2_table **table)
{
	u64 offset = image->l1[l1_index] & OFFSET_MASK;
	enum status status;

	*table = find_cached(image, l1_index);
	if (*table || !offset)
		return STATUS_OK;
	if (!is_sound(image, offset)) {
		errno = EUCLEAN;
		return STATUS_IO;
	}
	status = make_room(image, table);
	if (status == STATUS_OK)
		status = image->file->view.read(
			&image->file->view, offset, (*table)->entries, image->cluster_bytes);
	if (status != STATUS_OK)
		return status;
	(*table)->l1_index = l1_index;
	(*table)->used = ++image->clock;
	return STATUS_OK;
}

enum status table_get(struct qcow2 *image, u64 cluster, u64 *entry)
{
	struct l2_table *table;
	enum status status = find_table(image, cluster >> image->l2_bits, &table);

	if (status != STATUS_OK)
		return status;
	*entry = table ? be64(table->entries[index_of(image, cluster)]) : 0;
	if (!(*entry & ENTRY_COMPRESSED) && (*entry & OFFSET_MASK) % image->cluster_bytes) {
		errno = EUCLEAN;
		return STATUS_IO;
	}
	return STATUS_OK;
}

/* An empty table, in memory only: the next flush writes it, and then the L1 entry. */
static enum status add_table(struct qcow2 *image, u64 l1_index)
{
	struct l2_table *table;
	enum status status = make_room(image, &table);
	u64 cluster = status == STATUS_OK ? cluster_take(image) : 0;

	if (status != STATUS_OK)
		return status;
	if (!cluster)
		return STATUS_IO;
	memset(table->entries, 0, image->cluster_bytes);
	table->dirty = ~0ull;
	table->l1_index = l1_index;
	table->used = ++image->clock;
	image->l1[l1_index] = cluster * image->cluster_bytes | ENTRY_COPIED;
	range_add(&image->l1_dirty, l1_index);
	return STATUS_OK;
}

enum status table_prepare(struct qcow2 *image, u64 cluster)
{
	struct l2_table *table;
	enum status status = find_table(image, cluster >> image->l2_bits, &table);

	if (status == STATUS_OK && !table)
		status = add_table(image, cluster >> image->l2_bits);
	return status;
}

void table_set(struct qcow2 *image, u64 cluster, u64 entry)
{
	struct l2_table *table = find_cached(image, cluster >> image->l2_bits);
	u64 index = index_of(image, cluster);

	table->entries[index] = be64(entry);
	table->dirty |= 1ull << (index * L2_PIECES >> image->l2_bits);
}
