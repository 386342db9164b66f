/* SPDX-License-Identifier: MIT */
/* What can be read anywhere: a disk's contents, whatever file format holds them, or a piece of them. */
#ifndef HOSTS_LINUX_QCOW2_VIEW_H
#define HOSTS_LINUX_QCOW2_VIEW_H

#include "base/status.h"
#include "base/types.h"

struct disk_view {
	u64 bytes;
	/* All of `bytes` from offset on, which may lie anywhere: past the end there are zeroes. STATUS_IO: errno says why. */
	enum status (*read)(struct disk_view *view, u64 offset, void *to, size_t bytes);
};

/* A file or block device as it is. The descriptor stays the caller's. */
struct raw_view {
	struct disk_view view;
	int fd;
};

enum status raw_view_init(struct raw_view *raw, int fd, struct error *error) must_use;

#endif
