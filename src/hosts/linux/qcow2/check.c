/* SPDX-License-Identifier: MIT */
/*
 * What an image uses is counted when it is opened for writing: whoever made it, and however it was left, afterwards the counts are right.
 * There are no snapshots (qcow2_open refuses them), so everything is used once; only compressed clusters share those that they lie in.
 */
#include <errno.h>
#include <string.h>

#include "hosts/linux/qcow2/internal.h"

struct check {
	struct qcow2 *image;
	struct error *error;
	bool has_wrong_flags; /* ENTRY_COPIED is missing somewhere */
};

static enum status damaged(struct check *check, const char *what, u64 offset)
{
	return error_set(check->error, STATUS_UNSUPPORTED,
		"the image is damaged: %s at byte %llu (qemu-img check tells more)", what,
		(unsigned long long)offset);
}

static enum status unreadable(struct check *check)
{
	return error_set(check->error, STATUS_IO, "%s", strerror(errno));
}

/* ---- counting ---- */

static enum status use_alone(struct check *check, u64 offset, u64 bytes)
{
	struct qcow2 *image = check->image;
	u64 cluster = offset / image->cluster_bytes;
	u64 count = (bytes + image->cluster_bytes - 1) / image->cluster_bytes;

	if (offset % image->cluster_bytes)
		return damaged(check, "a cluster is not aligned", offset);
	for (u64 i = 0; i < count; i++, cluster++) {
		if (cluster >= image->cluster_limit ||
			cluster * image->cluster_bytes >= image->file->view.bytes)
			return damaged(check, "a cluster is not within the file", offset);
		if (image->uses[cluster])
			return damaged(check, "two things use the cluster", offset);
		image->uses[cluster] = USED_ALONE;
		image->end = MAX(image->end, cluster + 1);
	}
	return STATUS_OK;
}

static enum status use_packed(struct check *check, u64 entry)
{
	struct qcow2 *image = check->image;
	u64 offset, bytes, cluster, last;

	entry_packed(image, entry, &offset, &bytes);
	cluster = offset / image->cluster_bytes;
	last = (offset + bytes - 1) / image->cluster_bytes;
	/* The last sectors that it names need not be there. */
	if (offset >= image->file->view.bytes || last >= image->cluster_limit)
		return damaged(check, "a compressed cluster is not within the file", offset);
	for (; cluster <= last; cluster++) {
		if (image->uses[cluster] >= USES_MAX)
			return damaged(check, "two things use the cluster", offset);
		image->uses[cluster]++;
		image->end = MAX(image->end, cluster + 1);
	}
	return STATUS_OK;
}

static enum status use_entry(struct check *check, u64 entry)
{
	if (entry & ENTRY_COMPRESSED)
		return use_packed(check, entry);
	if (!entry_offset(entry))
		return STATUS_OK;
	check->has_wrong_flags |= !(entry & ENTRY_COPIED);
	return use_alone(check, entry_offset(entry), check->image->cluster_bytes);
}

static enum status read_table(struct check *check, u64 l1_index)
{
	struct qcow2 *image = check->image;

	return image->file->view.read(&image->file->view, image->l1[l1_index] & OFFSET_MASK,
		       image->scratch, image->cluster_bytes) == STATUS_OK
		? STATUS_OK
		: unreadable(check);
}

static enum status use_table(struct check *check, u64 l1_index)
{
	struct qcow2 *image = check->image;
	const u64 *entries = (const u64 *)image->scratch;
	u64 entry = image->l1[l1_index];
	enum status status;

	if (!(entry & OFFSET_MASK))
		return STATUS_OK;
	check->has_wrong_flags |= !(entry & ENTRY_COPIED);
	status = use_alone(check, entry & OFFSET_MASK, image->cluster_bytes);
	if (status == STATUS_OK)
		status = read_table(check, l1_index);
	for (u64 i = 0; i < 1ull << image->l2_bits && status == STATUS_OK; i++) {
		if (entries[i])
			status = use_entry(check, be64(entries[i]));
	}
	return status;
}

static enum status use_all(struct check *check)
{
	struct qcow2 *image = check->image;
	const struct qcow2_header *header = &image->header;
	enum status status = use_alone(check, 0, image->cluster_bytes);

	if (status == STATUS_OK)
		status = use_alone(check, header->l1_offset, header->l1_entries * sizeof(u64));
	if (status == STATUS_OK)
		status = use_alone(check, header->refcount_table_offset,
			header->refcount_table_clusters * image->cluster_bytes);
	for (u64 i = 0; i < image->refcount_entries && status == STATUS_OK; i++) {
		if (image->refcount_table[i])
			status = use_alone(check, image->refcount_table[i], image->cluster_bytes);
	}
	for (u64 i = 0; i < header->l1_entries && status == STATUS_OK; i++)
		status = use_table(check, i);
	return status;
}

/* ---- comparing ---- */

static u64 used(const struct qcow2 *image, u64 cluster)
{
	u16 uses = cluster < image->cluster_limit ? image->uses[cluster] : 0;

	return uses == USED_ALONE ? 1 : uses;
}

static enum status compare_block(struct check *check, u64 block)
{
	struct qcow2 *image = check->image;
	u64 per_block = refcounts_per_block(image), first = block * per_block;

	memset(image->scratch, 0, image->cluster_bytes);
	if (image->refcount_table[block] &&
		image->file->view.read(&image->file->view, image->refcount_table[block],
			image->scratch, image->cluster_bytes) != STATUS_OK)
		return unreadable(check);
	for (u64 i = 0; i < per_block; i++) {
		u64 counted = refcount_decode(image->scratch, i, image->header.refcount_order);
		u64 uses = used(image, first + i);

		if (counted < uses && !image->header.is_dirty)
			return damaged(check, "what is used is not counted",
				(first + i) * image->cluster_bytes);
		/* More than is used: left over by who was interrupted. */
		if (counted != uses && image->refcount_table[block]) {
			image->refcount_dirty[block] = 1;
			image->has_dirty_refcounts = true;
		}
	}
	return STATUS_OK;
}

/* Blocks that are missing: only where the image says that its counts are not kept. */
static enum status add_blocks(struct check *check)
{
	struct qcow2 *image = check->image;

	for (u64 i = 0; i < image->end && image->header.is_dirty; i++) {
		if (image->uses[i] && !refcount_touch(image, i))
			return unreadable(check);
	}
	return STATUS_OK;
}

static enum status compare_all(struct check *check)
{
	struct qcow2 *image = check->image;
	u64 blocks = (image->end + refcounts_per_block(image) - 1) / refcounts_per_block(image);
	enum status status = add_blocks(check);

	if (status == STATUS_OK && blocks > image->refcount_entries)
		return damaged(check, "its refcount table is too small",
			image->header.refcount_table_offset);
	for (u64 i = 0; i < image->refcount_entries && status == STATUS_OK; i++) {
		if (i < blocks || image->refcount_table[i])
			status = compare_block(check, i);
	}
	return status;
}

/* ---- mending ---- */

static enum status mend_table(struct check *check, u64 l1_index)
{
	struct qcow2 *image = check->image;
	u64 *entries = (u64 *)image->scratch;

	if (!(image->l1[l1_index] & OFFSET_MASK))
		return STATUS_OK;
	if (read_table(check, l1_index) != STATUS_OK)
		return STATUS_IO;
	for (u64 i = 0; i < 1ull << image->l2_bits; i++) {
		u64 entry = be64(entries[i]);

		if (!(entry & ENTRY_COMPRESSED) && entry_offset(entry))
			entries[i] = be64(entry | ENTRY_COPIED);
	}
	image->l1[l1_index] |= ENTRY_COPIED;
	range_add(&image->l1_dirty, l1_index);
	return image->file->write(image->file, image->l1[l1_index] & OFFSET_MASK, image->scratch,
		       image->cluster_bytes) == STATUS_OK
		? STATUS_OK
		: unreadable(check);
}

/* What the header said of the image's state is no longer so: it is sound, and what we do not know of is not kept up. */
static enum status mend_header(struct check *check)
{
	struct qcow2 *image = check->image;
	u64 features = be64(image->header.compression ? 1 << 3 : 0), none = 0;

	if (image->header.is_dirty &&
		image->file->write(image->file, QCOW2_INCOMPATIBLE, &features, sizeof(features)) !=
			STATUS_OK)
		return unreadable(check);
	if (image->header.has_autoclear &&
		image->file->write(image->file, QCOW2_AUTOCLEAR, &none, sizeof(none)) != STATUS_OK)
		return unreadable(check);
	image->header.is_dirty = image->header.has_autoclear = false;
	return image->file->sync(image->file) == STATUS_OK ? STATUS_OK : unreadable(check);
}

enum status image_check(struct qcow2 *image, struct error *error)
{
	struct check check = {.image = image, .error = error};
	bool is_told = image->header.is_dirty || image->header.has_autoclear;
	enum status status = use_all(&check);

	if (status == STATUS_OK)
		status = compare_all(&check);
	for (u64 i = 0; i < image->header.l1_entries && check.has_wrong_flags; i++) {
		if (status == STATUS_OK)
			status = mend_table(&check, i);
	}
	if (status == STATUS_OK &&
		(image->has_dirty_refcounts || check.has_wrong_flags || is_told) &&
		qcow2_flush(image) != STATUS_OK)
		status = unreadable(&check);
	if (status == STATUS_OK && is_told)
		status = mend_header(&check);
	return status;
}
