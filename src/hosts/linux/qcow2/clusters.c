/* SPDX-License-Identifier: MIT */
/* Clusters of the file: taken, freed, and the blocks and the table that count them. */
#include <errno.h>
#include <string.h>

#include "hosts/linux/qcow2/internal.h"

u64 refcounts_per_block(const struct qcow2 *image)
{
	return image->cluster_bytes * 8 >> image->header.refcount_order;
}

static void use(struct qcow2 *image, u64 cluster)
{
	image->uses[cluster] = USED_ALONE;
	image->end = MAX(image->end, cluster + 1);
}

static u64 find_free(struct qcow2 *image)
{
	u64 cluster = image->first_free;

	while (cluster < image->cluster_limit && image->uses[cluster])
		cluster++;
	image->first_free = cluster;
	if (cluster < image->cluster_limit)
		return cluster;
	errno = ENOSPC;
	return 0;
}

static void mark_dirty(struct qcow2 *image, u64 block)
{
	image->refcount_dirty[block] = 1;
	image->has_dirty_refcounts = true;
}

static bool grow_refcount_table(struct qcow2 *image, u64 needed);

/*
 * The new block takes a cluster, which another new block may have to count. It cannot go on for ever: the cluster is the next
 * free one, and a block counts many.
 */
bool refcount_touch(struct qcow2 *image, u64 cluster)
{
	u64 block = cluster / refcounts_per_block(image), made;

	if (block >= image->refcount_entries && !grow_refcount_table(image, block + 1))
		return false;
	mark_dirty(image, block);
	if (image->refcount_table[block])
		return true;
	made = find_free(image);
	if (!made)
		return false;
	use(image, made);
	image->refcount_table[block] = made * image->cluster_bytes;
	range_add(&image->refcount_table_dirty, block);
	return refcount_touch(image, made);
}

/* It moves to the end of the file; the header says so once it is there. */
static bool grow_refcount_table(struct qcow2 *image, u64 needed)
{
	u64 per_cluster = image->cluster_bytes / sizeof(u64);
	/* Half as much again, and room for the blocks that count the new table itself. */
	u64 clusters = (needed + needed / 2 + 16) / per_cluster + 1;
	u64 at = MAX(image->end, image->first_free);

	/* One that was not written yet has no bytes in the file that anybody looks at. */
	if (at + clusters > image->cluster_limit ||
		clusters * per_cluster > image->refcount_limit || image->freed_count == FREED_MAX) {
		errno = ENOSPC;
		return false;
	}
	image->freed[image->freed_count++] =
		(struct run){image->header.refcount_table_offset / image->cluster_bytes,
			image->header.refcount_table_clusters};
	for (u64 i = 0; i < clusters; i++)
		use(image, at + i);
	image->header.refcount_table_offset = at * image->cluster_bytes;
	image->header.refcount_table_clusters = (u32)clusters;
	image->refcount_entries = clusters * per_cluster;
	image->refcount_table_moved = true;
	for (u64 i = 0; i < clusters; i++) {
		if (!refcount_touch(image, at + i))
			return false;
	}
	return true;
}

u64 cluster_take(struct qcow2 *image)
{
	u64 cluster = find_free(image);

	if (!cluster)
		return 0;
	use(image, cluster);
	if (refcount_touch(image, cluster))
		return cluster;
	image->uses[cluster] = 0;
	return 0;
}

static void unuse(struct qcow2 *image, u64 cluster)
{
	u16 *uses = &image->uses[cluster];

	*uses = *uses == USED_ALONE || *uses == 0 ? 0 : (u16)(*uses - 1);
	mark_dirty(image, cluster / refcounts_per_block(image));
	if (*uses)
		return;
	image->first_free = MIN(image->first_free, cluster);
	if (image->file->give_back)
		image->file->give_back(
			image->file, cluster * image->cluster_bytes, image->cluster_bytes);
}

void cluster_untake(struct qcow2 *image, u64 cluster)
{
	unuse(image, cluster);
}

static struct run entry_run(const struct qcow2 *image, u64 entry)
{
	u64 offset, bytes, first;

	if (!(entry & ENTRY_COMPRESSED))
		return (struct run){entry_offset(entry) / image->cluster_bytes, 1};
	entry_packed(image, entry, &offset, &bytes);
	first = offset / image->cluster_bytes;
	return (struct run){first, (offset + bytes - 1) / image->cluster_bytes - first + 1};
}

enum status entry_free(struct qcow2 *image, u64 entry)
{
	enum status status = STATUS_OK;

	if (!(entry & ENTRY_COMPRESSED) && !entry_offset(entry))
		return STATUS_OK;
	image->freed[image->freed_count++] = entry_run(image, entry);
	/* Half: a flush may have to move the refcount table, whose old place is freed, too. */
	if (image->freed_count >= FREED_MAX / 2)
		status = qcow2_flush(image);
	return status;
}

void freed_release(struct qcow2 *image)
{
	for (unsigned i = 0; i < image->freed_count; i++) {
		for (u64 j = 0; j < image->freed[i].count; j++)
			unuse(image, image->freed[i].cluster + j);
	}
	image->freed_count = 0;
}
