/* SPDX-License-Identifier: MIT */
/* A qcow2 image's header, as QEMU's docs/interop/qcow2.txt has it, checked: offsets lie in the file, sizes are such as can be. */
#ifndef HOSTS_LINUX_QCOW2_HEADER_H
#define HOSTS_LINUX_QCOW2_HEADER_H

#include "hosts/linux/qcow2/view.h"

#define QCOW2_NAME_BYTES 1024
#define QCOW2_FORMAT_BYTES 16

enum qcow2_compression { QCOW2_ZLIB, QCOW2_ZSTD };

struct qcow2_header {
	u32 version, cluster_bits, refcount_order, snapshots;
	u64 bytes; /* of the disk */
	u64 l1_offset, refcount_table_offset;
	u32 l1_entries, refcount_table_clusters;
	bool is_dirty, is_corrupt, has_autoclear;
	enum qcow2_compression compression;
	char backing[QCOW2_NAME_BYTES];		 /* "": none */
	char backing_format[QCOW2_FORMAT_BYTES]; /* "": it does not say */
};

/* Where the fields that are changed lie in the file. */
enum qcow2_header_offset {
	QCOW2_REFCOUNT_TABLE = 48, /* the offset, 8 bytes, and how many clusters, 4 */
	QCOW2_INCOMPATIBLE = 72,
	QCOW2_AUTOCLEAR = 88,
};

#define QCOW2_INCOMPATIBLE_DIRTY 1ull

bool qcow2_has_magic(struct disk_view *file);

/* error says what is wrong with the image, without its name. */
enum status qcow2_header_read(
	struct disk_view *file, struct qcow2_header *header, struct error *error) must_use;

#endif
