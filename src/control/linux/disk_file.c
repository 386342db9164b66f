/* SPDX-License-Identifier: MIT */
#include "control/linux/disk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "control/disk.h"
#include "control/linux/disk/backing.h"
#include "control/linux/disk/lock.h"

#define SECTOR_BYTES 512

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
	if (disk->format == DISK_FORMAT_RAW && bytes % SECTOR_BYTES)
		return error_set(error, STATUS_IO,
			"--disk %.150s: %lld bytes are no whole number of sectors of 512 bytes "
			"(truncate -s %%512 FILE)",
			disk->file, (long long)bytes);
	return STATUS_OK;
}

static bool has_qcow2_magic(int fd)
{
	static const char qcow2_magic[] = "QFI\xfb";
	char magic[4];

	return pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
		!memcmp(magic, qcow2_magic, sizeof(magic));
}

static bool is_named_qcow2(const char *file)
{
	size_t length = strlen(file);

	return length > 6 && !strcmp(file + length - 6, ".qcow2");
}

/* Where it is not said the name says it, never the contents: a guest can write what it likes to the beginning of a raw disk. */
static enum status choose_format(struct disk_option *disk, int fd, struct error *error)
{
	if (disk->format != DISK_FORMAT_UNSAID)
		return STATUS_OK;
	if (!is_named_qcow2(disk->file) && has_qcow2_magic(fd))
		return error_set(error, STATUS_UNSUPPORTED,
			"--disk %.120s: it begins like a qcow2 image; say which it is with ,format=qcow2 "
			"or ,format=raw",
			disk->file);
	disk->format = is_named_qcow2(disk->file) ? DISK_FORMAT_QCOW2 : DISK_FORMAT_RAW;
	return STATUS_OK;
}

static enum status lock_file(const struct disk_option *disk, int fd, struct error *error)
{
	struct error reason;
	enum status status = disk_lock(fd, !disk->is_read_only, &reason);

	return status == STATUS_OK
		? STATUS_OK
		: error_set(error, status, "--disk %.100s: %.140s", disk->file, reason.text);
}

static enum status open_file(struct disk_option *disk, int *fd, struct error *error)
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
		status = choose_format(disk, *fd, error);
	if (status == STATUS_OK)
		status = check_size(disk, *fd, error);
	return status == STATUS_OK ? lock_file(disk, *fd, error) : status;
}

/* ---- vhost-user ---- */

static bool is_socket(const char *file)
{
	struct stat info;

	return !stat(file, &info) && S_ISSOCK(info.st_mode);
}

static enum status connect_server(const struct disk_option *disk, int *fd, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (disk->serial[0])
		return error_set(error, STATUS_INVALID,
			"--disk %.100s: serial= is the vhost-user server's to say", disk->file);
	if (strlen(disk->file) >= sizeof(address.sun_path))
		return error_set(error, STATUS_INVALID,
			"--disk %.100s...: a socket's name has at most %zu bytes", disk->file,
			sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, disk->file);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd >= 0 && !connect(*fd, (struct sockaddr *)&address, sizeof(address)))
		return STATUS_OK;
	return error_set(
		error, STATUS_IO, "--disk %.150s: vhost-user: %s", disk->file, strerror(errno));
}

/* What is a socket is a server's, whoever says otherwise is told. */
static enum status open_disk(struct disk_option *disk, int *fd, struct error *error)
{
	if (disk->format == DISK_FORMAT_UNSAID && is_socket(disk->file))
		disk->format = DISK_FORMAT_VHOST_USER;
	if (disk->format == DISK_FORMAT_VHOST_USER)
		return connect_server(disk, fd, error);
	return open_file(disk, fd, error);
}

/* ---- all of them ---- */

/* What the image stands on, into disk->backing. */
static enum status open_backing(struct disk_option *disk, int fd, struct error *error)
{
	static struct chain chain;
	enum status status;

	chain.count = 1;
	chain.files[0] = (struct chain_file){.fd = fd, .is_qcow2 = true};
	status = backing_open(disk->file, &chain, error);
	disk->backing_count = chain.count - 1;
	for (unsigned i = 1; i < chain.count; i++)
		disk->backing[i - 1] = (struct disk_backing){(u32)chain.files[i].fd,
			chain.files[i].is_qcow2 ? DISK_FORMAT_QCOW2 : DISK_FORMAT_RAW};
	return status;
}

static const char *format_name(enum disk_format format)
{
	static const char *const names[] = {"", "raw", "qcow2", "vhost-user"};

	return names[format];
}

/* The same, with descriptors for names. */
static enum status add_descriptor(
	struct machine_config *config, const struct disk_option *disk, int fd, struct error *error)
{
	char bytes[400], serial[2 * DISK_SERIAL_BYTES + 1], *to = serial;
	struct text text;

	for (const char *from = disk->serial; *from; from++) {
		*to++ = *from;
		if (*from == ',')
			*to++ = ',';
	}
	*to = 0;
	text_init(&text, bytes, sizeof(bytes));
	text_format(&text, "%d%s,format=%s%s%s", fd, disk->is_read_only ? ",ro" : "",
		format_name(disk->format), *serial ? ",serial=" : "", serial);
	for (unsigned i = 0; i < disk->backing_count; i++)
		text_format(&text, ",backing=%s:%u", format_name(disk->backing[i].format),
			disk->backing[i].fd);
	return config_set(config, config_field_find("disk_fds", CONFIG_RUNNER), bytes, error);
}

enum status disk_files_open(struct machine_config *config, struct error *error)
{
	char text[DISK_TEXT_BYTES_MAX];
	const char *at = config->disk;
	enum status status = STATUS_OK;
	struct disk_option disk;

	while (status == STATUS_OK && config_list_next(&at, text, sizeof(text))) {
		int fd = -1;

		status = disk_option_parse(text, &disk, error);
		if (status == STATUS_OK)
			status = open_disk(&disk, &fd, error);
		if (status == STATUS_OK && disk.format == DISK_FORMAT_QCOW2)
			status = open_backing(&disk, fd, error);
		if (status == STATUS_OK)
			status = add_descriptor(config, &disk, fd, error);
	}
	return status;
}

/* The next of config->disk_fds, which we have written ourselves. */
static bool next_disk(const char **at, struct disk_option *disk)
{
	char text[DISK_TEXT_BYTES_MAX];
	struct error ignored;

	return config_list_next(at, text, sizeof(text)) &&
		disk_option_parse(text, disk, &ignored) == STATUS_OK;
}

unsigned disk_files_descriptors(const struct machine_config *config, int *fds, unsigned capacity)
{
	const char *at = config->disk_fds;
	struct disk_option disk;
	unsigned count = 0;

	while (next_disk(&at, &disk) && count + 1 + disk.backing_count <= capacity) {
		fds[count++] = atoi(disk.file);
		for (unsigned i = 0; i < disk.backing_count; i++)
			fds[count++] = (int)disk.backing[i].fd;
	}
	return count;
}

bool disk_files_first(const struct machine_config *config, struct chain *chain)
{
	const char *at = config->disk_fds;
	struct disk_option disk;

	if (!next_disk(&at, &disk) || disk.format == DISK_FORMAT_VHOST_USER)
		return false;
	chain_init(chain, &disk);
	return true;
}
