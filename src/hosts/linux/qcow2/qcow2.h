/* SPDX-License-Identifier: MIT */
/*
 * Disks in the qcow2 format (QEMU's docs/interop/qcow2.txt, versions 2 and 3), over a file that can be read, written and synced.
 *
 * What the tables say stays in memory until a flush, which writes it in an order such that whatever has reached the file at any moment is a
 * sound image with all that was flushed before; clusters that are counted and not used may be left over, and the next opening for
 * writing frees them. One thread at a time. After opening nothing is allocated.
 *
 * An image that is opened for writing is read through and checked first: what two places use, or what is not counted, is refused. One that
 * is only read is checked as it is read: STATUS_IO, errno EUCLEAN.
 */
#ifndef HOSTS_LINUX_QCOW2_QCOW2_H
#define HOSTS_LINUX_QCOW2_QCOW2_H

#include "hosts/linux/qcow2/header.h"

struct qcow2;

/*
 * The file and the backing view (NULL: none; not looked at where the header names none) stay the caller's, and must stay. error does not
 * name the image.
 */
enum status qcow2_open(struct image_file *file, struct disk_view *backing, bool is_writable,
	struct qcow2 **image, struct error *error) must_use;
/* Flushes first; what that comes to is returned, the image is closed whatever it is. */
enum status qcow2_close(struct qcow2 *image) must_use;
/* Closes without a flush: what was not flushed is lost. */
void qcow2_abandon(struct qcow2 *image);

/* The disk: its size, and how it is read. Valid as long as the image is open. */
struct disk_view *qcow2_view(struct qcow2 *image);

/* Within the disk's size. STATUS_IO: errno says why, and what of it was written is undefined. */
enum status qcow2_write(struct qcow2 *image, u64 offset, const void *from, size_t bytes) must_use;
enum status qcow2_write_zeroes(struct qcow2 *image, u64 offset, u64 bytes, bool may_unmap) must_use;
/* Of whole clusters; what it leaves reads as it did. */
enum status qcow2_discard(struct qcow2 *image, u64 offset, u64 bytes) must_use;
/* All that has been written is durable when this ends well. */
enum status qcow2_flush(struct qcow2 *image) must_use;

#endif
