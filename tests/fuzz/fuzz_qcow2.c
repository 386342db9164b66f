/* SPDX-License-Identifier: MIT */
/* qcow2 images of any contents: read; and what can be opened for writing is written to, and can be opened again afterwards. */
#include <stdlib.h>
#include <string.h>

#include "hosts/linux/qcow2/qcow2.h"

#define FILE_BYTES_MAX (4 * MIB)
#define OPERATIONS 24

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static u8 file_bytes[FILE_BYTES_MAX], buffer[16384];

static enum status file_read(struct disk_view *view, u64 offset, void *to, size_t bytes)
{
	u64 there = offset < view->bytes ? MIN(bytes, view->bytes - offset) : 0;

	if (there)
		memcpy(to, file_bytes + offset, there);
	memset((u8 *)to + there, 0, bytes - there);
	return STATUS_OK;
}

/* Past its end there is no space. */
static enum status file_write(struct image_file *file, u64 offset, const void *from, size_t bytes)
{
	if (offset > FILE_BYTES_MAX || bytes > FILE_BYTES_MAX - offset)
		return STATUS_IO;
	memcpy(file_bytes + offset, from, bytes);
	file->view.bytes = MAX(file->view.bytes, offset + bytes);
	return STATUS_OK;
}

static enum status file_sync(struct image_file *file)
{
	return STATUS_OK;
}

static enum status backing_read(struct disk_view *view, u64 offset, void *to, size_t bytes)
{
	memset(to, 0x5a, bytes);
	return STATUS_OK;
}

static void operate(struct qcow2 *image, u64 random)
{
	u64 bytes = qcow2_view(image)->bytes;
	u64 offset = (random >> 8) % (bytes / 512) * 512;
	u64 count = MIN(bytes - offset, ((random >> 3) % 32 + 1) * 512);
	enum status ignored = STATUS_OK;

	switch (random % 6) {
	case 0:
		ignored = qcow2_write_zeroes(image, offset, count, random >> 63);
		break;
	case 1:
		ignored = qcow2_discard(image, offset, count);
		break;
	case 2:
		ignored = qcow2_flush(image);
		break;
	case 3:
		ignored = qcow2_view(image)->read(qcow2_view(image), offset, buffer, count);
		break;
	default:
		ignored = qcow2_write(image, offset, buffer, count);
	}
	(void)ignored;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct disk_view backing = {MIB, backing_read};
	struct image_file file = {
		.view = {size, file_read}, .write = file_write, .sync = file_sync};
	struct error error = {{0}};
	struct qcow2 *image;
	u64 random = size + 1;

	if (size > FILE_BYTES_MAX / 2)
		return 0;
	memset(file_bytes, 0, sizeof(file_bytes));
	memcpy(file_bytes, data, size);
	for (size_t i = 0; i < size; i += 64)
		random = (random ^ data[i]) * 0x9e3779b97f4a7c15;
	for (unsigned is_writable = 0; is_writable < 2; is_writable++) {
		if (qcow2_open(&file, &backing, is_writable, &image, &error) != STATUS_OK) {
			if (!error.text[0])
				abort();
			continue;
		}
		for (unsigned i = 0; i < OPERATIONS; i++) {
			operate(image, random);
			random = random * 6364136223846793005 + 1442695040888963407;
		}
		bool is_closed = qcow2_close(image) == STATUS_OK;
		if (!is_closed || !is_writable)
			continue;
		if (qcow2_open(&file, &backing, true, &image, &error) != STATUS_OK)
			abort();
		qcow2_abandon(image);
	}
	return 0;
}
