/* SPDX-License-Identifier: MIT */
#include "control/linux/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/linux/message.h"
#include "control/linux/unpack.h"

#define COPY_BYTES 65536

/* The setup header of a bzImage: Documentation/arch/x86/boot.rst. The loader (boot/linux.c) reads the rest of it. */
enum setup_header {
	SETUP_SECTORS = 0x1f1,
	HEADER_MAGIC = 0x202,
	VERSION = 0x206,
	PAYLOAD_OFFSET = 0x248,
	PAYLOAD_LENGTH = 0x24c,
	HEADER_NEEDED = 0x250,
};

/* A sealed-to-be copy of a file, mapped while it is looked at. */
struct copy {
	const char *what, *path;
	int fd;
	u8 *bytes;
	u64 size;
};

static u32 get_32(const u8 *at)
{
	u32 value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static enum status open_file(struct copy *copy, u64 limit, int *fd, struct error *error)
{
	struct stat info;
	enum status status = STATUS_OK;
	int opened = open(copy->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (opened < 0)
		return error_set(error, STATUS_IO, "%s: %.150s: %s", copy->what, copy->path,
			strerror(errno));
	if (fstat(opened, &info))
		status = error_set(error, STATUS_IO, "%s: %.150s: %s", copy->what, copy->path,
			strerror(errno));
	else if (!S_ISREG(info.st_mode))
		status = error_set(error, STATUS_UNSUPPORTED, "%s: %.150s is %s, not a file",
			copy->what, copy->path,
			S_ISDIR(info.st_mode) ? "a directory" : "a device or a pipe");
	else if (!info.st_size)
		status = error_set(
			error, STATUS_UNSUPPORTED, "%s: %.150s is empty", copy->what, copy->path);
	else if ((u64)info.st_size > limit)
		status = error_set(error, STATUS_TOO_BIG,
			"%s: %.150s has %llu MiB, which is more than fits (%llu MiB)", copy->what,
			copy->path, (unsigned long long)info.st_size >> 20,
			(unsigned long long)limit >> 20);
	if (status != STATUS_OK) {
		close(opened);
		return status;
	}
	*fd = opened;
	copy->size = (u64)info.st_size;
	return STATUS_OK;
}

/* Exactly copy->size bytes: what a file grows meanwhile is left out, and one that shrinks is an error. */
static enum status copy_bytes(struct copy *copy, int from, struct error *error)
{
	static u8 buffer[COPY_BYTES];
	u64 left = copy->size;

	while (left) {
		ssize_t got = read(from, buffer, MIN(left, sizeof(buffer)));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return error_set(error, STATUS_IO, "%s: %.150s: %s", copy->what, copy->path,
				got ? strerror(errno) : "it shrinks while it is read");
		if (write(copy->fd, buffer, (size_t)got) != got)
			return error_set(error, STATUS_NO_MEMORY,
				"%s: %.150s: no memory for a copy", copy->what, copy->path);
		left -= (u64)got;
	}
	return STATUS_OK;
}

static enum status copy_open(struct copy *copy, u64 limit, struct error *error)
{
	enum status status;
	int from = -1;

	copy->fd = -1;
	status = open_file(copy, limit, &from, error);
	if (status != STATUS_OK)
		return status;
	status = memfd_create_sized(copy->what, 0, &copy->fd, error);
	if (status == STATUS_OK)
		status = copy_bytes(copy, from, error);
	close(from);
	if (status != STATUS_OK && copy->fd >= 0)
		close(copy->fd);
	return status;
}

static enum status map_memory(const char *what, int fd, u64 size, u8 **bytes, struct error *error)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return error_set_errno(error, what);
	*bytes = at;
	return STATUS_OK;
}

/* Unpacks into a new sealed memfd of `room` bytes. */
static enum status unpack_to_memfd(
	const char *path, const u8 *from, u64 bytes, u64 room, int *fd, struct error *error)
{
	enum unpack_format format = unpack_find_format(from, bytes);
	enum status status;
	int made;
	u8 *to = NULL;

	if (!room || room > KERNEL_BYTES_MAX)
		return error_set(error, STATUS_UNSUPPORTED,
			"kernel: %.150s is damaged: it says that it unpacks to %llu bytes", path,
			(unsigned long long)room);
	status = memfd_create_sized("kernel", room, &made, error);
	if (status != STATUS_OK)
		return status;
	status = map_memory("kernel", made, room, &to, error);
	if (status == STATUS_OK) {
		if (!unpack(format, from, bytes, to, room))
			status = error_set(error, STATUS_UNSUPPORTED,
				"kernel: %.150s is damaged: its %s data cannot be unpacked", path,
				unpack_format_name(format));
		munmap(to, room);
	}
	if (status == STATUS_OK)
		status = memfd_seal(made, true, error);
	if (status == STATUS_OK)
		*fd = made;
	else
		close(made);
	return status;
}

static bool is_bzimage(const struct copy *copy)
{
	return copy->size >= VERSION + 2 && !memcmp(copy->bytes + HEADER_MAGIC, "HdrS", 4);
}

/*
 * Of a bzImage whose payload is in a format that we know: unpacks it, and cuts the copy after its setup part. Others go as they are,
 * and unpack themselves.
 */
static enum status take_payload(struct copy *copy, struct kernel_files *files, struct error *error)
{
	const u8 *header = copy->bytes;
	u64 setup = (header[SETUP_SECTORS] ? header[SETUP_SECTORS] + 1 : 5) * 512ul;
	u64 offset, length;
	enum status status;

	if (copy->size < HEADER_NEEDED || (header[VERSION] | header[VERSION + 1] << 8) < 0x208)
		return STATUS_OK;
	offset = setup + get_32(header + PAYLOAD_OFFSET);
	length = get_32(header + PAYLOAD_LENGTH);
	if (!length)
		return STATUS_OK;
	if (offset > copy->size || length > copy->size - offset || length < 8)
		return error_set(error, STATUS_UNSUPPORTED,
			"kernel: %.150s is truncated: %llu bytes, and it says that it has %llu",
			copy->path, (unsigned long long)copy->size,
			(unsigned long long)(offset + length));
	if (unpack_find_format(header + offset, length) == UNPACK_UNKNOWN)
		return STATUS_OK;
	/* Its last four bytes are the unpacked size. */
	status = unpack_to_memfd(copy->path, header + offset, length,
		get_32(header + offset + length - 4), &files->payload, error);
	if (status == STATUS_OK && ftruncate(copy->fd, (off_t)setup))
		status = error_set_errno(error, "kernel");
	return status;
}

/* A whole kernel packed by gzip, as Xen's and old ELF ones are: the unpacked one takes the copy's place. */
static enum status take_gzip(struct copy *copy, struct error *error)
{
	int unpacked;
	enum status status;

	if (copy->size < 18)
		return error_set(
			error, STATUS_UNSUPPORTED, "kernel: %.150s is truncated", copy->path);
	status = unpack_to_memfd(copy->path, copy->bytes, copy->size,
		get_32(copy->bytes + copy->size - 4), &unpacked, error);
	if (status != STATUS_OK)
		return status;
	close(copy->fd);
	copy->fd = unpacked;
	return STATUS_OK;
}

/* The copy is mapped: what kind of kernel is it? */
static enum status look_inside(struct copy *copy, struct kernel_files *files, struct error *error)
{
	enum status status = map_memory("kernel", copy->fd, copy->size, &copy->bytes, error);

	if (status != STATUS_OK)
		return status;
	if (is_bzimage(copy))
		status = take_payload(copy, files, error);
	else if (unpack_find_format(copy->bytes, copy->size) == UNPACK_GZIP)
		status = take_gzip(copy, error);
	munmap(copy->bytes, copy->size);
	return status;
}

/* The copy is taken: sealed and handed over, or closed. */
static enum status take_copy(struct copy *copy, struct kernel_files *files, struct error *error)
{
	struct kernel_files result = {.kernel = -1, .payload = -1};
	enum status status = look_inside(copy, &result, error);

	if (status == STATUS_OK)
		status = memfd_seal(copy->fd, true, error);
	result.kernel = copy->fd;
	if (status == STATUS_OK) {
		*files = result;
		return STATUS_OK;
	}
	close(result.kernel);
	if (result.payload >= 0)
		close(result.payload);
	return status;
}

enum status image_open_kernel(const char *path, struct kernel_files *files, struct error *error)
{
	struct copy copy = {.what = "kernel", .path = path};
	enum status status = copy_open(&copy, KERNEL_BYTES_MAX, error);

	return status == STATUS_OK ? take_copy(&copy, files, error) : status;
}

enum status image_take_kernel(
	int fd, const char *name, struct kernel_files *files, struct error *error)
{
	struct copy copy = {.what = "kernel", .path = name, .fd = fd};
	struct stat info;

	if (fstat(fd, &info)) {
		close(fd);
		return error_set_errno(error, "kernel");
	}
	copy.size = (u64)info.st_size;
	return take_copy(&copy, files, error);
}

enum status image_open_initrd(const char *path, u64 limit, int *fd, struct error *error)
{
	struct copy copy = {.what = "initrd", .path = path};
	enum status status = copy_open(&copy, limit, error);

	if (status == STATUS_OK)
		status = memfd_seal(copy.fd, true, error);
	if (status == STATUS_OK)
		*fd = copy.fd;
	return status;
}
