/* SPDX-License-Identifier: MIT */
/*
 * A cpio archive as `cpio -o -H newc` writes it ("070701", or "070702" with sums, which are not looked at), whole in memory. Freestanding.
 * Names are as in the archive, without ./ or / before them; a hard link is found by each of its names.
 */
#ifndef CONTROL_CPIO_H
#define CONTROL_CPIO_H

#include "base/status.h"
#include "base/types.h"

/* What an archive says of one file. The pointers go into the archive. */
struct cpio_entry {
	const char *name; /* terminated */
	const u8 *data;
	u32 bytes;
	u32 mode;  /* as in stat(2) */
	u32 links; /* of several, one has the data */
	u32 inode, device_major, device_minor;
};

struct cpio {
	const u8 *archive;
	size_t bytes;
	size_t at; /* of the next header */
};

void cpio_open(struct cpio *cpio, const void *archive, size_t bytes);
/* STATUS_END: behind the last one. STATUS_INVALID: no cpio archive, or cut short; the line says where. */
enum status cpio_next(struct cpio *cpio, struct cpio_entry *entry, struct error *error) must_use;
/* STATUS_NOT_FOUND: no such file. STATUS_INVALID also for what is not a regular file. */
enum status cpio_find(const void *archive, size_t bytes, const char *name, struct cpio_entry *entry,
	struct error *error) must_use;

#endif
