/* SPDX-License-Identifier: MIT */
/* A disk that is a file or a block device, byte for byte. */
#ifndef HOSTS_LINUX_BLOCK_FILE_H
#define HOSTS_LINUX_BLOCK_FILE_H

#include "base/status.h"
#include "hosts/linux/block_pool.h"

struct block_file {
	struct pooled_block pooled;
	int fd;
	const char *name;  /* for messages: "disk 1" */
	u64 failures_told; /* a bit an errno */
};

/* file is zeroed. Takes the descriptor, which is open for what is wanted; before the process is locked in. */
enum status block_file_init(struct block_file *file, const char *name, int fd, bool is_read_only,
	struct error *error) must_use;

#endif
