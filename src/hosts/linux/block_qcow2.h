/* SPDX-License-Identifier: MIT */
/* A disk that is a qcow2 image, with what it stands on. Its requests are done one after the other. */
#ifndef HOSTS_LINUX_BLOCK_QCOW2_H
#define HOSTS_LINUX_BLOCK_QCOW2_H

#include "base/status.h"
#include "hosts/linux/block_pool.h"
#include "hosts/linux/qcow2/chain.h"

struct block_qcow2 {
	struct pooled_block pooled;
	struct chain chain;
	const char *name;      /* for messages: "disk 1" */
	struct host_lock lock; /* the image is used by one thread at a time */
	u8 *buffer;
	u64 failures_told; /* a bit an errno */
	bool is_open;
};

/* block is zeroed, but for its chain. Before the process is locked in: nothing is read yet. */
enum status block_qcow2_prepare(struct block_qcow2 *block, const char *name, bool is_read_only,
	struct error *error) must_use;
/* Afterwards: the image, which may be hostile, is read and checked. */
enum status block_qcow2_open(struct block_qcow2 *block, struct error *error) must_use;
/* Nothing is in flight. Says so if the last flush fails. */
void block_qcow2_close(struct block_qcow2 *block);

#endif
