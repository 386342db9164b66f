/* SPDX-License-Identifier: MIT */
/* A disk's image and what it stands on: the files are open already, here they become one disk. */
#ifndef HOSTS_LINUX_QCOW2_CHAIN_H
#define HOSTS_LINUX_QCOW2_CHAIN_H

#include "control/disk.h"
#include "hosts/linux/qcow2/qcow2.h"

#define CHAIN_FILES_MAX (1 + DISK_BACKING_MAX)

struct chain_file {
	int fd;
	bool is_qcow2;
	/* chain_prepare's and chain_open's */
	struct raw_file raw;
	struct qcow2 *image;
};

struct chain {
	struct chain_file files[CHAIN_FILES_MAX]; /* the image first */
	unsigned count;
};

/* From an option with descriptors for names. */
void chain_init(struct chain *chain, const struct disk_option *option);
/* Needs more of the host than reading and writing: before a process is locked in. Nothing is believed of what the files hold. */
enum status chain_prepare(struct chain *chain, bool is_writable, struct error *error) must_use;
/* Only the image itself is ever written. After a failure nothing is open. */
enum status chain_open(struct chain *chain, bool is_writable, struct error *error) must_use;
/* The disk. */
struct disk_view *chain_view(struct chain *chain);
/* Flushes the image and closes all. */
enum status chain_close(struct chain *chain) must_use;

#endif
