/* SPDX-License-Identifier: MIT */
/* What images are made of: something that can be read anywhere, and a file that can also be changed. */
#ifndef HOSTS_LINUX_QCOW2_VIEW_H
#define HOSTS_LINUX_QCOW2_VIEW_H

#include "base/status.h"
#include "base/types.h"

/* A disk's contents, whatever file format holds them, or a file's. */
struct disk_view {
	u64 bytes;
	/* All of `bytes` from offset on, which may lie anywhere: past the end there are zeroes. STATUS_IO: errno says why. */
	enum status (*read)(struct disk_view *view, u64 offset, void *to, size_t bytes);
};

/* Failures are STATUS_IO with errno. */
struct image_file {
	struct disk_view view;
	/* All of it, growing the file where it goes past the end. NULL: the file is only read. */
	enum status (*write)(struct image_file *file, u64 offset, const void *from, size_t bytes);
	/* What was written before is durable, and cannot come after what is written afterwards. */
	enum status (*sync)(struct image_file *file);
	/* These bytes read as zeroes from now on, or as they did: the host may have their space. */
	void (*give_back)(struct image_file *file, u64 offset, u64 bytes);
};

/* A file or block device as it is. The descriptor stays the caller's. */
struct raw_file {
	struct image_file file;
	int fd;
};

enum status raw_file_init(
	struct raw_file *raw, int fd, bool is_writable, struct error *error) must_use;

#endif
