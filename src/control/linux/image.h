/* SPDX-License-Identifier: MIT */
/*
 * The files that a machine starts from, as sealed memfds: copied once, so that nobody changes them under the runner; and kernels unpacked
 * on the host, by libraries, which is faster than by the guest.
 */
#ifndef CONTROL_LINUX_IMAGE_H
#define CONTROL_LINUX_IMAGE_H

#include "base/status.h"
#include "base/types.h"

/* Descriptors, the caller's to close; -1: none. */
struct kernel_files {
	int kernel; /* the file; with a payload its setup part only */
	int payload;
};

#define KERNEL_BYTES_MAX GIB /* of a file, and of what it unpacks to */

/* `limit` is the guest's memory: a larger file cannot fit. error names the file and says what is wrong. */
enum status image_open_kernel(
	const char *path, struct kernel_files *files, struct error *error) must_use;
/* The same of a memfd that is not sealed yet and not empty, which is no longer the caller's, whatever comes of it. */
enum status image_take_kernel(
	int fd, const char *name, struct kernel_files *files, struct error *error) must_use;
enum status image_open_initrd(const char *path, u64 limit, int *fd, struct error *error) must_use;

/* A memfd of `bytes`, all zero. error names `what`. */
enum status memfd_create_sized(const char *what, u64 bytes, int *fd, struct error *error) must_use;
/* Nobody, from now on, changes its size; nor, with `contents`, its bytes. */
enum status memfd_seal(int fd, bool contents, struct error *error) must_use;

#endif
