/* SPDX-License-Identifier: MIT */
/* Reading, which writing is made of, too. */
#ifndef HOSTS_LINUX_QCOW2_READ_H
#define HOSTS_LINUX_QCOW2_READ_H

#include "hosts/linux/qcow2/internal.h"

enum status image_read(struct disk_view *view, u64 offset, void *to, size_t bytes) must_use;

/* Bytes of the run that begins in the cluster with this entry; they go over its end only as far as entry_run_bytes says. */
enum status entry_read(
	struct qcow2 *image, u64 cluster, u64 entry, u64 from, void *to, size_t bytes) must_use;
/* Is the entry `distance` clusters later of the same kind and, with data, in the same row in the file? */
bool entry_follows(const struct qcow2 *image, u64 first, u64 next, u64 distance);
/* How much from offset on, at most `most`, is in one row with the first entry. */
enum status entry_run_bytes(
	struct qcow2 *image, u64 offset, u64 first, size_t most, size_t *bytes) must_use;

#endif
