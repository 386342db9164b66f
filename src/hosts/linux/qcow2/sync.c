/* SPDX-License-Identifier: MIT */
/*
 * Writing back. Each step is durable before the next begins, so that what has reached the file never points to what has not: data and
 * counts, where the counts are, L2 tables, L1 entries. Only then is what they no longer use free.
 */
#include <string.h>

#include "hosts/linux/qcow2/internal.h"

static enum status sync(struct qcow2 *image)
{
	return image->file->sync(image->file);
}

static enum status write_block(struct qcow2 *image, u64 block)
{
	u64 per_block = refcounts_per_block(image), first = block * per_block;

	memset(image->scratch, 0, image->cluster_bytes);
	for (u64 i = 0; i < per_block && first + i < image->cluster_limit; i++) {
		u16 uses = image->uses[first + i];

		refcount_encode(image->scratch, i, image->header.refcount_order,
			uses == USED_ALONE ? 1 : uses);
	}
	return image->file->write(
		image->file, image->refcount_table[block], image->scratch, image->cluster_bytes);
}

static enum status write_blocks(struct qcow2 *image)
{
	for (u64 i = 0; i < image->refcount_entries && image->has_dirty_refcounts; i++) {
		if (!image->refcount_dirty[i])
			continue;
		if (write_block(image, i) != STATUS_OK)
			return STATUS_IO;
		image->refcount_dirty[i] = 0;
	}
	image->has_dirty_refcounts = false;
	return STATUS_OK;
}

/* Entries of a table of the host's order, a cluster of them at a time. */
static enum status write_entries(
	struct qcow2 *image, u64 offset, const u64 *entries, struct range range)
{
	u64 *out = (u64 *)image->scratch, most = image->cluster_bytes / sizeof(u64);

	for (u64 at = range.first; at < range.end; at += most) {
		u64 count = MIN(most, range.end - at);

		for (u64 i = 0; i < count; i++)
			out[i] = be64(entries[at + i]);
		if (image->file->write(image->file, offset + at * sizeof(u64), out,
			    count * sizeof(u64)) != STATUS_OK)
			return STATUS_IO;
	}
	return STATUS_OK;
}

/* The header's two fields in one piece. */
static enum status write_table_place(struct qcow2 *image)
{
	u8 fields[12];
	u64 offset = be64(image->header.refcount_table_offset);
	u32 clusters = __builtin_bswap32(image->header.refcount_table_clusters);

	memcpy(fields, &offset, 8);
	memcpy(fields + 8, &clusters, 4);
	return image->file->write(image->file, QCOW2_REFCOUNT_TABLE, fields, sizeof(fields));
}

static enum status write_refcount_table(struct qcow2 *image)
{
	struct range range = image->refcount_table_dirty;
	enum status status;

	if (image->refcount_table_moved)
		range = (struct range){0, image->refcount_entries};
	if (!range.end)
		return STATUS_OK;
	status = sync(image);
	if (status == STATUS_OK)
		status = write_entries(
			image, image->header.refcount_table_offset, image->refcount_table, range);
	if (status == STATUS_OK && image->refcount_table_moved) {
		status = sync(image);
		if (status == STATUS_OK)
			status = write_table_place(image);
	}
	if (status != STATUS_OK)
		return status;
	image->refcount_table_dirty = (struct range){0};
	image->refcount_table_moved = false;
	return STATUS_OK;
}

static enum status write_l2(struct qcow2 *image, struct l2_table *table)
{
	u64 offset = image->l1[table->l1_index] & OFFSET_MASK;
	size_t piece = image->cluster_bytes / L2_PIECES;

	for (unsigned i = 0; i < L2_PIECES; i++) {
		unsigned first = i;

		if (!(table->dirty >> i & 1))
			continue;
		while (i + 1 < L2_PIECES && table->dirty >> (i + 1) & 1)
			i++;
		if (image->file->write(image->file, offset + first * piece,
			    (u8 *)table->entries + first * piece,
			    (i + 1 - first) * piece) != STATUS_OK)
			return STATUS_IO;
	}
	table->dirty = 0;
	return STATUS_OK;
}

static enum status write_l2_tables(struct qcow2 *image)
{
	bool is_first = true;

	for (unsigned i = 0; i < image->l2_count; i++) {
		if (!image->l2[i].dirty)
			continue;
		if (is_first && sync(image) != STATUS_OK)
			return STATUS_IO;
		is_first = false;
		if (write_l2(image, &image->l2[i]) != STATUS_OK)
			return STATUS_IO;
	}
	return STATUS_OK;
}

static enum status write_l1(struct qcow2 *image)
{
	if (!image->l1_dirty.end)
		return STATUS_OK;
	if (sync(image) != STATUS_OK ||
		write_entries(image, image->header.l1_offset, image->l1, image->l1_dirty) !=
			STATUS_OK)
		return STATUS_IO;
	image->l1_dirty = (struct range){0};
	return STATUS_OK;
}

enum status qcow2_flush(struct qcow2 *image)
{
	static enum status (*const steps[])(struct qcow2 * image) = {
		write_blocks, write_refcount_table, write_l2_tables, write_l1, sync};

	if (!image->is_writable)
		return STATUS_OK;
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		enum status status = steps[i](image);

		if (status != STATUS_OK)
			return status;
	}
	freed_release(image);
	return STATUS_OK;
}
