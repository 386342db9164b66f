/* SPDX-License-Identifier: MIT */
/* An open qcow2 image, for the files of this folder: tables.c finds, check.c counts at opening, clusters.c takes and frees, sync.c writes back. */
#ifndef HOSTS_LINUX_QCOW2_INTERNAL_H
#define HOSTS_LINUX_QCOW2_INTERNAL_H

#include "hosts/linux/qcow2/qcow2.h"

#define OFFSET_MASK 0x00fffffffffffe00ull
#define ENTRY_COPIED (1ull << 63) /* exactly one uses it */
#define ENTRY_COMPRESSED (1ull << 62)
#define ENTRY_ZERO (1ull << 0) /* version 3 */

#define L2_TABLES_MAX 64
#define L2_PIECES 64 /* an L2 table is written back in so many pieces, those that have changed */
#define FREED_MAX 1024

/* How often a cluster is used. Compressed clusters share the ones that they lie in; everything else has its own. */
#define USED_ALONE 0xffff
#define USES_MAX 0xfffe

struct l2_table {
	u64 *entries; /* as in the file: big-endian */
	u64 l1_index;
	u64 dirty; /* a bit a piece */
	u64 used;  /* when, for the choice of which to give up; 0: empty */
};

/* Entries that differ from the file's. */
struct range {
	u64 first, end;
};

struct run {
	u64 cluster, count;
};

struct qcow2 {
	struct disk_view view;
	struct image_file *file;
	struct disk_view *backing;
	struct qcow2_header header;
	u64 cluster_bytes;
	u32 l2_bits; /* entries of an L2 table, as a power of two */
	bool is_writable;

	u64 *l1; /* the host's order */
	struct range l1_dirty;
	struct l2_table l2[L2_TABLES_MAX];
	unsigned l2_count;
	u64 clock;

	/* Only of an image that is written: */
	u16 *uses;	      /* of each cluster of the file */
	u64 cluster_limit;    /* how many clusters the file can come to */
	u64 first_free;	      /* none below is free */
	u64 end;	      /* all from here on are free */
	u64 *refcount_table;  /* the host's order */
	u64 refcount_entries; /* that fit the table where it is in the file */
	u64 refcount_limit;   /* that cluster_limit needs */
	bool refcount_table_moved;
	struct range refcount_table_dirty;
	u8 *refcount_dirty; /* a byte a block */
	bool has_dirty_refcounts;
	/* No longer used by the tables in memory, but perhaps by those in the file. */
	struct run freed[FREED_MAX];
	unsigned freed_count;

	u8 *scratch;  /* a cluster */
	u8 *packed;   /* a compressed one, as it is in the file */
	u8 *unpacked; /* the cluster of the disk that was unpacked last */
	u64 unpacked_cluster;
	u8 *arena; /* decompressors' */
	size_t arena_bytes;
};

static inline u64 be64(u64 value)
{
	return __builtin_bswap64(value);
}

static inline void range_add(struct range *range, u64 index)
{
	if (range->end == 0)
		*range = (struct range){index, index + 1};
	range->first = MIN(range->first, index);
	range->end = MAX(range->end, index + 1);
}

/* ---- tables.c ---- */

enum cluster_kind { CLUSTER_UNALLOCATED, CLUSTER_ZERO, CLUSTER_DATA, CLUSTER_COMPRESSED };

enum cluster_kind entry_kind(const struct qcow2 *image, u64 entry);
/* Where in the file an uncompressed cluster is; 0: nowhere. */
u64 entry_offset(u64 entry);
/* Where in the file a compressed cluster is, and how many bytes at most. */
void entry_packed(const struct qcow2 *image, u64 entry, u64 *offset, u64 *bytes);

/* The entry of a cluster of the disk. */
enum status table_get(struct qcow2 *image, u64 cluster, u64 *entry) must_use;
/* Room for it is made first: afterwards table_set of the same cluster does not fail until another's is made. */
enum status table_prepare(struct qcow2 *image, u64 cluster) must_use;
void table_set(struct qcow2 *image, u64 cluster, u64 entry);

/* ---- clusters.c ---- */

/* A cluster of the file for the caller alone; 0: no space (errno). */
u64 cluster_take(struct qcow2 *image);
/* One that was taken and got into no table. */
void cluster_untake(struct qcow2 *image, u64 cluster);
/* What an entry used is used no more, once a flush has written that. */
enum status entry_free(struct qcow2 *image, u64 entry) must_use;
/* All that was freed before the last flush may be taken again. */
void freed_release(struct qcow2 *image);
u64 refcounts_per_block(const struct qcow2 *image);
/* The block that counts the cluster is there, and will be written. False: no space. */
bool refcount_touch(struct qcow2 *image, u64 cluster);

/* ---- refcount.c ---- */

u64 refcount_decode(const u8 *block, u64 index, u32 order);
void refcount_encode(u8 *block, u64 index, u32 order, u64 value);

/* ---- check.c ---- */

/* Counts what is used, compares it with what the file says, and mends what is counted and not used. */
enum status image_check(struct qcow2 *image, struct error *error) must_use;

/* ---- unpack.c ---- */

size_t unpack_arena_bytes(enum qcow2_compression compression);
/* Unpacks image->packed, `bytes` long, to image->unpacked. */
bool unpack_cluster(struct qcow2 *image, u64 bytes) must_use;

#endif
