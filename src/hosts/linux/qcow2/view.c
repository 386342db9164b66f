/* SPDX-License-Identifier: MIT */
#include "hosts/linux/qcow2/view.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static enum status raw_read(struct disk_view *view, u64 offset, void *to, size_t bytes)
{
	struct raw_view *raw = container_of(view, struct raw_view, view);
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

enum status raw_view_init(struct raw_view *raw, int fd, struct error *error)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		return error_set(
			error, STATUS_IO, "its size cannot be found out: %s", strerror(errno));
	*raw = (struct raw_view){.view = {.bytes = (u64)end, .read = raw_read}, .fd = fd};
	return STATUS_OK;
}
