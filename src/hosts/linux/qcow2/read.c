/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "hosts/linux/qcow2/read.h"

static enum status fail(int number)
{
	errno = number;
	return STATUS_IO;
}

/* Leaves the cluster in image->unpacked. */
static enum status unpack_entry(struct qcow2 *image, u64 cluster, u64 entry)
{
	u64 offset, bytes;

	if (image->unpacked_cluster == cluster)
		return STATUS_OK;
	entry_packed(image, entry, &offset, &bytes);
	if (offset >= image->file->view.bytes || bytes > 2 * image->cluster_bytes)
		return fail(EUCLEAN);
	image->unpacked_cluster = ~0ull;
	if (image->file->view.read(&image->file->view, offset, image->packed, bytes) != STATUS_OK)
		return STATUS_IO;
	if (!unpack_cluster(image, bytes))
		return fail(EUCLEAN);
	image->unpacked_cluster = cluster;
	return STATUS_OK;
}

/* A piece of a cluster of any kind. */
enum status entry_read(
	struct qcow2 *image, u64 cluster, u64 entry, u64 from, void *to, size_t bytes)
{
	switch (entry_kind(image, entry)) {
	case CLUSTER_UNALLOCATED:
		if (image->backing)
			return image->backing->read(
				image->backing, cluster * image->cluster_bytes + from, to, bytes);
		break;
	case CLUSTER_ZERO:
		break;
	case CLUSTER_DATA:
		return image->file->view.read(
			&image->file->view, entry_offset(entry) + from, to, bytes);
	case CLUSTER_COMPRESSED:
		if (unpack_entry(image, cluster, entry) != STATUS_OK)
			return STATUS_IO;
		memcpy(to, image->unpacked + from, bytes);
		return STATUS_OK;
	}
	memset(to, 0, bytes);
	return STATUS_OK;
}

bool entry_follows(const struct qcow2 *image, u64 first, u64 next, u64 distance)
{
	enum cluster_kind kind = entry_kind(image, first);

	if (kind != entry_kind(image, next) || kind == CLUSTER_COMPRESSED)
		return false;
	return kind != CLUSTER_DATA ||
		entry_offset(next) == entry_offset(first) + distance * image->cluster_bytes;
}

enum status entry_run_bytes(struct qcow2 *image, u64 offset, u64 first, size_t most, size_t *bytes)
{
	u64 cluster = offset / image->cluster_bytes, entry;
	u64 run = image->cluster_bytes - offset % image->cluster_bytes;

	for (u64 i = 1; run < most; i++) {
		if (table_get(image, cluster + i, &entry) != STATUS_OK)
			return STATUS_IO;
		if (!entry_follows(image, first, entry, i))
			break;
		run += image->cluster_bytes;
	}
	*bytes = MIN(run, most);
	return STATUS_OK;
}

enum status image_read(struct disk_view *view, u64 offset, void *to, size_t bytes)
{
	struct qcow2 *image = container_of(view, struct qcow2, view);
	u8 *at = to;

	while (bytes && offset < view->bytes) {
		u64 cluster = offset / image->cluster_bytes, entry;
		size_t piece;

		if (table_get(image, cluster, &entry) != STATUS_OK ||
			entry_run_bytes(image, offset, entry, MIN(bytes, view->bytes - offset),
				&piece) != STATUS_OK ||
			entry_read(image, cluster, entry, offset % image->cluster_bytes, at,
				piece) != STATUS_OK)
			return STATUS_IO;
		at += piece;
		offset += piece;
		bytes -= piece;
	}
	memset(at, 0, bytes);
	return STATUS_OK;
}
