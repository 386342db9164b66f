/* SPDX-License-Identifier: MIT */
#include "hosts/linux/qcow2/qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hosts/linux/qcow2/internal.h"
#include "hosts/linux/qcow2/read.h"

#define L2_CACHE_BYTES (4 * MIB)
#define L2_TABLES_MIN 4
#define CLUSTERS_SPARE 8192 /* what is freed and not yet to be had, tables that move, rounding */
#define CLUSTERS_MAX (1ull << 28) /* 512 MiB of counts, as far as they are touched */

/* ---- memory ---- */

static bool get_caches(struct qcow2 *image)
{
	u64 tables = L2_CACHE_BYTES / image->cluster_bytes;

	image->l2_count = (unsigned)MIN(MAX(tables, L2_TABLES_MIN), L2_TABLES_MAX);
	for (unsigned i = 0; i < image->l2_count; i++) {
		image->l2[i].entries = malloc(image->cluster_bytes);
		if (!image->l2[i].entries)
			return false;
	}
	image->arena_bytes = unpack_arena_bytes(image->header.compression);
	image->arena = malloc(image->arena_bytes);
	image->scratch = malloc(image->cluster_bytes);
	image->unpacked = malloc(image->cluster_bytes);
	image->packed = malloc(2 * image->cluster_bytes);
	image->unpacked_cluster = ~0ull;
	return image->arena && image->scratch && image->unpacked && image->packed;
}

static u64 divide_up(u64 value, u64 by)
{
	return (value + by - 1) / by;
}

/* What the file can come to: all that is in it now, and all of the disk, with the tables for it. */
static u64 count_clusters(const struct qcow2 *image)
{
	u64 in_file = divide_up(image->file->view.bytes, image->cluster_bytes);
	u64 data = divide_up(image->view.bytes, image->cluster_bytes);
	u64 tables = divide_up(data, 1ull << image->l2_bits);
	u64 clusters = in_file + data + tables + CLUSTERS_SPARE;

	return clusters + 2 * divide_up(clusters, refcounts_per_block(image)) + 2;
}

static bool get_counts(struct qcow2 *image)
{
	u64 per_cluster = image->cluster_bytes / sizeof(u64);

	image->cluster_limit = count_clusters(image);
	image->refcount_entries = image->header.refcount_table_clusters * per_cluster;
	/* A table that moves is half as large again, and a little. */
	image->refcount_limit = divide_up(image->cluster_limit, refcounts_per_block(image)) * 2 +
		image->refcount_entries + 4 * per_cluster + 64;
	image->uses = calloc(image->cluster_limit, sizeof(image->uses[0]));
	image->refcount_table = calloc(image->refcount_limit, sizeof(u64));
	image->refcount_dirty = calloc(image->refcount_limit, 1);
	image->first_free = 1;
	return image->uses && image->refcount_table && image->refcount_dirty;
}

void qcow2_abandon(struct qcow2 *image)
{
	for (unsigned i = 0; i < image->l2_count; i++)
		free(image->l2[i].entries);
	free(image->arena);
	free(image->scratch);
	free(image->unpacked);
	free(image->packed);
	free(image->l1);
	free(image->uses);
	free(image->refcount_table);
	free(image->refcount_dirty);
	free(image);
}

/* ---- opening ---- */

static enum status read_entries(
	struct qcow2 *image, u64 offset, u64 count, u64 *to, struct error *error)
{
	if (image->file->view.read(&image->file->view, offset, to, count * sizeof(u64)) !=
		STATUS_OK)
		return error_set(error, STATUS_IO, "%s", strerror(errno));
	for (u64 i = 0; i < count; i++)
		to[i] = be64(to[i]);
	return STATUS_OK;
}

static enum status check_writable(const struct qcow2 *image, struct error *error)
{
	if (image->header.is_corrupt)
		return error_set(error, STATUS_UNSUPPORTED,
			"the image is marked as damaged: qemu-img check -r all may mend it");
	if (image->header.snapshots)
		return error_set(error, STATUS_UNSUPPORTED,
			"images with snapshots inside are only read (,ro); qemu-img snapshot -d deletes them");
	if (count_clusters(image) > CLUSTERS_MAX)
		return error_set(error, STATUS_TOO_BIG,
			"the disk is too large for its cluster size; qemu-img convert -o cluster_size=2M");
	return STATUS_OK;
}

static enum status open_for_writing(struct qcow2 *image, struct error *error)
{
	enum status status = check_writable(image, error);

	if (status != STATUS_OK)
		return status;
	if (!get_counts(image))
		return error_set(error, STATUS_NO_MEMORY, "no memory");
	status = read_entries(image, image->header.refcount_table_offset, image->refcount_entries,
		image->refcount_table, error);
	return status == STATUS_OK ? image_check(image, error) : status;
}

static enum status open_tables(struct qcow2 *image, struct error *error)
{
	enum status status;

	image->l1 = malloc(MAX(image->header.l1_entries, 1u) * sizeof(u64));
	if (!image->l1 || !get_caches(image))
		return error_set(error, STATUS_NO_MEMORY, "no memory");
	status = read_entries(
		image, image->header.l1_offset, image->header.l1_entries, image->l1, error);
	return status == STATUS_OK && image->is_writable ? open_for_writing(image, error) : status;
}

enum status qcow2_open(struct image_file *file, struct disk_view *backing, bool is_writable,
	struct qcow2 **image, struct error *error)
{
	struct qcow2 *opened = calloc(1, sizeof(*opened));
	enum status status;

	if (!opened)
		return error_set(error, STATUS_NO_MEMORY, "no memory");
	opened->file = file;
	opened->is_writable = is_writable;
	status = qcow2_header_read(&file->view, &opened->header, error);
	if (status == STATUS_OK) {
		opened->view = (struct disk_view){opened->header.bytes, image_read};
		opened->backing = opened->header.backing[0] ? backing : NULL;
		opened->cluster_bytes = 1ull << opened->header.cluster_bits;
		opened->l2_bits = opened->header.cluster_bits - 3;
		status = open_tables(opened, error);
	}
	if (status == STATUS_OK)
		*image = opened;
	else
		qcow2_abandon(opened);
	return status;
}

enum status qcow2_close(struct qcow2 *image)
{
	enum status status = qcow2_flush(image);

	/* The first freed clusters, which the second counts. */
	if (status == STATUS_OK && image->has_dirty_refcounts)
		status = qcow2_flush(image);
	qcow2_abandon(image);
	return status;
}

struct disk_view *qcow2_view(struct qcow2 *image)
{
	return &image->view;
}
