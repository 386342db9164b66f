/* SPDX-License-Identifier: MIT */
/* Files of an ext2, ext3 or ext4 file system, read by libext2fs. Its journal is not replayed: what it holds may be a little old. */
#ifndef CONTROL_LINUX_DISK_EXT_H
#define CONTROL_LINUX_DISK_EXT_H

#include "control/linux/disk/partitions.h"

struct ext;

/* STATUS_NOT_FOUND: there is no such file system; else error says what is wrong with it. One at a time. */
enum status ext_open(struct disk_view *disk, const struct partition *partition, struct ext **ext,
	struct error *error) must_use;
void ext_close(struct ext *ext);

/* The file system's UUID as people write it. */
#define EXT_UUID_BYTES 37
void ext_uuid(const struct ext *ext, char text[EXT_UUID_BYTES]);

/* Is there such a file or folder? Symbolic links are followed. */
bool ext_has(struct ext *ext, const char *path);

/* Calls back for each entry's name; nothing where there is no such folder. */
void ext_list(struct ext *ext, const char *folder, void (*each)(void *context, const char *name),
	void *context);

/* The file's contents as a new memfd. error names the path. */
enum status ext_read(
	struct ext *ext, const char *path, u64 limit, int *fd, struct error *error) must_use;

#endif
