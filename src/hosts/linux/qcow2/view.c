/* SPDX-License-Identifier: MIT */
#include "hosts/linux/qcow2/view.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static enum status raw_read(struct disk_view *view, u64 offset, void *to, size_t bytes)
{
	struct raw_file *raw = container_of(view, struct raw_file, file.view);
	u8 *at = to;

	while (bytes && offset < view->bytes) {
		ssize_t got = pread(raw->fd, at, MIN(bytes, view->bytes - offset), (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return STATUS_IO;
		if (!got)
			break; /* it has been cut: zeroes, as past its end */
		at += got;
		offset += (u64)got;
		bytes -= (size_t)got;
	}
	memset(at, 0, bytes);
	return STATUS_OK;
}

static enum status raw_write(struct image_file *file, u64 offset, const void *from, size_t bytes)
{
	struct raw_file *raw = container_of(file, struct raw_file, file);
	const u8 *at = from;

	while (bytes) {
		ssize_t put = pwrite(raw->fd, at, bytes, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return STATUS_IO;
		at += put;
		offset += (u64)put;
		bytes -= (size_t)put;
		file->view.bytes = MAX(file->view.bytes, offset);
	}
	return STATUS_OK;
}

static enum status raw_sync(struct image_file *file)
{
	return fdatasync(container_of(file, struct raw_file, file)->fd) ? STATUS_IO : STATUS_OK;
}

static void raw_give_back(struct image_file *file, u64 offset, u64 bytes)
{
	(void)!fallocate(container_of(file, struct raw_file, file)->fd,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
}

enum status raw_file_init(struct raw_file *raw, int fd, bool is_writable, struct error *error)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		return error_set(
			error, STATUS_IO, "its size cannot be found out: %s", strerror(errno));
	*raw = (struct raw_file){.file = {.view = {.bytes = (u64)end, .read = raw_read},
					 .write = is_writable ? raw_write : NULL,
					 .sync = raw_sync,
					 .give_back = raw_give_back},
		.fd = fd};
	return STATUS_OK;
}
