/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "hosts/linux/qcow2/read.h"

/* A new cluster whose bytes in the file nobody has ever written: what of it is not written reads as zeroes. */
static bool is_fresh(const struct qcow2 *image, u64 offset)
{
	return offset >= image->file->view.bytes;
}

static bool reads_as_zeroes(const struct qcow2 *image, u64 entry)
{
	enum cluster_kind kind = entry_kind(image, entry);

	return kind == CLUSTER_ZERO || (kind == CLUSTER_UNALLOCATED && !image->backing);
}

/* The whole of a cluster to `offset` in the file: what it was, with the new piece in it. */
static enum status write_merged(struct qcow2 *image, u64 cluster, u64 entry, u64 offset, u64 within,
	const void *from, size_t bytes)
{
	if (bytes == image->cluster_bytes ||
		(is_fresh(image, offset) && reads_as_zeroes(image, entry)))
		return image->file->write(image->file, offset + within, from, bytes);
	if (entry_read(image, cluster, entry, 0, image->scratch, image->cluster_bytes) != STATUS_OK)
		return STATUS_IO;
	memcpy(image->scratch + within, from, bytes);
	return image->file->write(image->file, offset, image->scratch, image->cluster_bytes);
}

/* Into a cluster that is kept for this one already, but reads as zeroes. */
static enum status write_kept(
	struct qcow2 *image, u64 cluster, u64 entry, u64 within, const void *from, size_t bytes)
{
	enum status status =
		write_merged(image, cluster, entry, entry_offset(entry), within, from, bytes);

	if (status == STATUS_OK)
		table_set(image, cluster, entry_offset(entry) | ENTRY_COPIED);
	return status;
}

/* table_prepare has been called, here and below. */
static enum status write_new(
	struct qcow2 *image, u64 cluster, u64 entry, u64 within, const void *from, size_t bytes)
{
	u64 taken = cluster_take(image), offset = taken * image->cluster_bytes;
	enum status status;

	if (!taken)
		return STATUS_IO;
	status = write_merged(image, cluster, entry, offset, within, from, bytes);
	if (status != STATUS_OK) {
		int number = errno;

		cluster_untake(image, taken);
		errno = number;
		return status;
	}
	table_set(image, cluster, offset | ENTRY_COPIED);
	return entry_free(image, entry);
}

static enum status write_run(
	struct qcow2 *image, u64 offset, const void *from, size_t most, size_t *bytes)
{
	u64 cluster = offset / image->cluster_bytes, within = offset % image->cluster_bytes, entry;
	enum status status = table_get(image, cluster, &entry);

	if (status != STATUS_OK)
		return status;
	if (entry_kind(image, entry) == CLUSTER_DATA) {
		status = entry_run_bytes(image, offset, entry, most, bytes);
		return status == STATUS_OK ? image->file->write(image->file,
						     entry_offset(entry) + within, from, *bytes)
					   : status;
	}
	*bytes = MIN(most, image->cluster_bytes - within);
	status = table_prepare(image, cluster);
	if (status != STATUS_OK)
		return status;
	if (entry_kind(image, entry) == CLUSTER_ZERO && entry_offset(entry))
		return write_kept(image, cluster, entry, within, from, *bytes);
	return write_new(image, cluster, entry, within, from, *bytes);
}

static enum status fail_read_only(void)
{
	errno = EROFS;
	return STATUS_IO;
}

enum status qcow2_write(struct qcow2 *image, u64 offset, const void *from, size_t bytes)
{
	const u8 *at = from;

	if (!image->is_writable)
		return fail_read_only();
	while (bytes) {
		size_t piece;
		enum status status = write_run(image, offset, at, bytes, &piece);

		if (status != STATUS_OK)
			return status;
		at += piece;
		offset += piece;
		bytes -= piece;
	}
	return STATUS_OK;
}

/* ---- zeroes and discards ---- */

/* The cluster gets another entry, and what it used is freed. */
static enum status replace_entry(struct qcow2 *image, u64 cluster, u64 old, u64 entry)
{
	enum status status = table_prepare(image, cluster);

	if (status != STATUS_OK)
		return status;
	table_set(image, cluster, entry);
	return entry_offset(entry) ? STATUS_OK : entry_free(image, old);
}

/* Zeroes that are written: where there is no flag for them, and in pieces of clusters. */
static enum status write_zero_bytes(struct qcow2 *image, u64 offset, u64 bytes)
{
	static u8 zeroes[64 * 1024];
	enum status status = STATUS_OK;

	for (u64 at = 0, piece; at < bytes && status == STATUS_OK; at += piece) {
		piece = MIN(bytes - at, sizeof(zeroes));
		status = qcow2_write(image, offset + at, zeroes, piece);
	}
	return status;
}

/* All of the disk's cluster; its last one may be shorter. */
static enum status write_zero_cluster(struct qcow2 *image, u64 cluster)
{
	u64 offset = cluster * image->cluster_bytes;

	return write_zero_bytes(
		image, offset, MIN(image->cluster_bytes, image->view.bytes - offset));
}

static enum status zero_cluster(struct qcow2 *image, u64 cluster, bool may_unmap)
{
	u64 entry;
	enum status status = table_get(image, cluster, &entry);

	if (status != STATUS_OK || reads_as_zeroes(image, entry))
		return status;
	if (image->header.version < 3) {
		if (may_unmap && !image->backing)
			return replace_entry(image, cluster, entry, 0);
		return write_zero_cluster(image, cluster);
	}
	if (entry_kind(image, entry) == CLUSTER_DATA && !may_unmap)
		return replace_entry(image, cluster, entry, entry | ENTRY_ZERO);
	return replace_entry(image, cluster, entry, ENTRY_ZERO);
}

static enum status discard_cluster(struct qcow2 *image, u64 cluster)
{
	u64 entry, nothing = image->header.version >= 3 ? ENTRY_ZERO : 0;
	enum status status = table_get(image, cluster, &entry);
	bool has_space = entry & ENTRY_COMPRESSED || entry_offset(entry);

	if (status != STATUS_OK || !has_space || (!nothing && image->backing))
		return status;
	return replace_entry(image, cluster, entry, nothing);
}

/* Whole clusters; the disk's last one may be shorter. */
static bool is_whole(const struct qcow2 *image, u64 offset, u64 bytes)
{
	return !(offset % image->cluster_bytes) &&
		(bytes == image->cluster_bytes || offset + bytes == image->view.bytes);
}

static enum status zero_piece(struct qcow2 *image, u64 offset, u64 bytes)
{
	u64 entry;
	enum status status = table_get(image, offset / image->cluster_bytes, &entry);

	if (status != STATUS_OK || reads_as_zeroes(image, entry))
		return status;
	return write_zero_bytes(image, offset, bytes);
}

static u64 piece_at(const struct qcow2 *image, u64 offset, u64 bytes)
{
	return MIN(bytes, image->cluster_bytes - offset % image->cluster_bytes);
}

enum status qcow2_write_zeroes(struct qcow2 *image, u64 offset, u64 bytes, bool may_unmap)
{
	if (!image->is_writable)
		return fail_read_only();
	while (bytes) {
		u64 piece = piece_at(image, offset, bytes);
		enum status status = is_whole(image, offset, piece)
			? zero_cluster(image, offset / image->cluster_bytes, may_unmap)
			: zero_piece(image, offset, piece);

		if (status != STATUS_OK)
			return status;
		offset += piece;
		bytes -= piece;
	}
	return STATUS_OK;
}

enum status qcow2_discard(struct qcow2 *image, u64 offset, u64 bytes)
{
	if (!image->is_writable)
		return fail_read_only();
	while (bytes) {
		u64 piece = piece_at(image, offset, bytes);
		enum status status = is_whole(image, offset, piece)
			? discard_cluster(image, offset / image->cluster_bytes)
			: STATUS_OK;

		if (status != STATUS_OK)
			return status;
		offset += piece;
		bytes -= piece;
	}
	return STATUS_OK;
}
