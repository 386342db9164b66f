/* SPDX-License-Identifier: MIT */
#include "control/linux/disk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/disk.h"

#define SECTOR_BYTES 512

/* Open file description locks: they are the open file's, so the runner inherits them, and they go with the last who has it open. */
static enum status lock_file(const struct disk_option *disk, int fd, struct error *error)
{
	struct flock lock = {.l_type = disk->is_read_only ? F_RDLCK : F_WRLCK};

	if (!fcntl(fd, F_OFD_SETLK, &lock))
		return STATUS_OK;
	if (errno == EAGAIN || errno == EACCES)
		return error_set(error, STATUS_BUSY,
			"--disk %.150s: in use by another machine; stop that one, or give both the "
			"disk with ,ro",
			disk->file);
	return error_set(error, STATUS_IO, "--disk %.150s: it cannot be locked: %s", disk->file,
		strerror(errno));
}

static enum status check_kind(const struct disk_option *disk, int fd, struct error *error)
{
	struct stat info;

	if (fstat(fd, &info))
		return error_set(
			error, STATUS_IO, "--disk %.150s: %s", disk->file, strerror(errno));
	if (S_ISDIR(info.st_mode))
		return error_set(error, STATUS_IO,
			"--disk %.150s: a directory; a disk is a file or a block device",
			disk->file);
	if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode))
		return error_set(error, STATUS_IO,
			"--disk %.150s: neither a file nor a block device", disk->file);
	return STATUS_OK;
}

static enum status check_size(const struct disk_option *disk, int fd, struct error *error)
{
	off_t bytes = lseek(fd, 0, SEEK_END);

	if (bytes <= 0)
		return error_set(error, STATUS_IO, "--disk %.150s: the file is empty", disk->file);
	if (bytes % SECTOR_BYTES)
		return error_set(error, STATUS_IO,
			"--disk %.150s: %lld bytes are no whole number of sectors of 512 bytes "
			"(truncate -s %%512 FILE)",
			disk->file, (long long)bytes);
	return STATUS_OK;
}

/* Unless it was said, what begins like a format's file is not taken for raw: a guest could have written that beginning. */
static enum status check_format(const struct disk_option *disk, int fd, struct error *error)
{
	static const char qcow2_magic[] = "QFI\xfb";
	char magic[4] = "";
	ssize_t got = pread(fd, magic, sizeof(magic), 0);

	if (disk->format == DISK_FORMAT_RAW)
		return STATUS_OK;
	if (disk->format == DISK_FORMAT_QCOW2 ||
		(got == sizeof(magic) && !memcmp(magic, qcow2_magic, sizeof(magic))))
		return error_set(error, STATUS_UNSUPPORTED,
			"--disk %.120s: qcow2 is not available yet (qemu-img convert -O raw)",
			disk->file);
	return STATUS_OK;
}

static enum status open_file(const struct disk_option *disk, int *fd, struct error *error)
{
	int flags = (disk->is_read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	enum status status;

	*fd = open(disk->file, flags);
	if (*fd < 0 && errno == EISDIR)
		*fd = open(disk->file, O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		return error_set(error, STATUS_IO, "--disk %.150s: %s%s", disk->file,
			strerror(errno),
			errno == EACCES || errno == EROFS ? " (or with ,ro for reading only?)"
							  : "");
	status = check_kind(disk, *fd, error);
	if (status == STATUS_OK)
		status = check_size(disk, *fd, error);
	if (status == STATUS_OK)
		status = check_format(disk, *fd, error);
	return status == STATUS_OK ? lock_file(disk, *fd, error) : status;
}

/* The same, with the descriptor for the name. */
static enum status add_descriptor(
	struct machine_config *config, const struct disk_option *disk, int fd, struct error *error)
{
	char text[100], serial[2 * DISK_SERIAL_BYTES + 1], *to = serial;

	for (const char *from = disk->serial; *from; from++) {
		*to++ = *from;
		if (*from == ',')
			*to++ = ',';
	}
	*to = 0;
	snprintf(text, sizeof(text), "%d%s,format=raw%s%s", fd, disk->is_read_only ? ",ro" : "",
		*serial ? ",serial=" : "", serial);
	return config_set(config, config_field_find("disk_fds", CONFIG_RUNNER), text, error);
}

enum status disk_files_open(struct machine_config *config, struct error *error)
{
	char text[DISK_TEXT_BYTES_MAX];
	const char *at = config->disk;
	enum status status = STATUS_OK;
	struct disk_option disk;

	while (status == STATUS_OK && config_list_next(&at, text, sizeof(text))) {
		int fd;

		status = disk_option_parse(text, &disk, error);
		if (status == STATUS_OK)
			status = open_file(&disk, &fd, error);
		if (status == STATUS_OK)
			status = add_descriptor(config, &disk, fd, error);
	}
	return status;
}

unsigned disk_files_descriptors(const struct machine_config *config, int *fds, unsigned capacity)
{
	char text[DISK_TEXT_BYTES_MAX];
	const char *at = config->disk_fds;
	unsigned count = 0;

	while (count < capacity && config_list_next(&at, text, sizeof(text)))
		fds[count++] = atoi(text);
	return count;
}
