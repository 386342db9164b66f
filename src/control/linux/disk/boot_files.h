/* SPDX-License-Identifier: MIT */
/*
 * What an installed system starts from: the newest kernel in its /boot and the initrd beside it. On an ext2, ext3 or ext4 file system
 * on the whole disk or in a partition; a boot partition of its own works, too. Other file systems are not read.
 */
#ifndef CONTROL_LINUX_DISK_BOOT_FILES_H
#define CONTROL_LINUX_DISK_BOOT_FILES_H

#include "control/linux/image.h"
#include "hosts/linux/qcow2/chain.h"

#define BOOT_APPEND_BYTES 128

struct boot_files {
	struct kernel_files kernel;
	int initrd; /* -1: there is none */
	/* What the kernel is told without --append: where its root is, and its console. */
	char append[BOOT_APPEND_BYTES];
};

/*
 * The descriptors are sealed memfds, the caller's to close. initrd_limit is the guest's memory. error says what the disk lacks, or what is
 * wrong with it; it does not name the disk.
 */
enum status boot_files_find(struct chain *disk, u64 initrd_limit, struct boot_files *files,
	struct error *error) must_use;

/*
 * Is `name` in /boot a kernel that is to be taken rather than `best` ("": none yet)? Kernels are called vmlinuz or vmlinuz-VERSION.
 */
bool boot_files_is_better(const char *name, const char *best);

#endif
