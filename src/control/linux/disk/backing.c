/* SPDX-License-Identifier: MIT */
#include "control/linux/disk/backing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control/linux/disk/lock.h"
#include "control/linux/disk/locked_child.h"

struct backing {
	char format[QCOW2_FORMAT_BYTES];
	char name[QCOW2_NAME_BYTES];
};

_Static_assert(LOCKED_TEXT_BYTES >= QCOW2_NAME_BYTES + QCOW2_FORMAT_BYTES, "the answer has room");

/* ---- the header, read in a child ---- */

static enum status read_header(void *context, struct locked_result *result, struct error *error)
{
	struct chain_file *file = context;
	static struct qcow2_header header;
	enum status status = qcow2_header_read(&file->raw.file.view, &header, error);

	snprintf(result->text, sizeof(result->text), "%s\n%s", header.backing_format,
		header.backing);
	return status;
}

static enum status ask_header(struct chain_file *file, struct backing *backing, struct error *error)
{
	struct locked_result result = {.fd_count = 0};
	enum status status = raw_file_init(&file->raw, file->fd, false, error);
	char *name;

	if (status == STATUS_OK)
		status = locked_child_run(read_header, file, &file->fd, 1, &result, error);
	if (status != STATUS_OK)
		return status;
	name = strchr(result.text, '\n');
	if (result.fd_count || !name || name - result.text >= QCOW2_FORMAT_BYTES ||
		strlen(name + 1) >= QCOW2_NAME_BYTES)
		return error_set(error, STATUS_IO, "reading its header gave nonsense");
	*name = 0;
	strcpy(backing->format, result.text);
	strcpy(backing->name, name + 1);
	return STATUS_OK;
}

/* ---- names ---- */

static void folder_of(const char *path, char folder[PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		strcpy(folder, ".");
	else
		snprintf(folder, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* Relative to the folder; NULL: it lies elsewhere. An absolute name may lead back into the folder. */
static const char *name_within(const char *folder, const char *name)
{
	char real[PATH_MAX];
	size_t length;

	if (name[0] != '/')
		return name;
	if (!realpath(folder, real))
		return NULL;
	length = strlen(real);
	return !strncmp(name, real, length) && name[length] == '/' ? name + length + 1 : NULL;
}

static enum status check_words(const char *path, const struct backing *backing, struct error *error)
{
	const char *colon = strchr(backing->name, ':'), *slash = strchr(backing->name, '/');

	if (colon && (!slash || colon < slash))
		return error_set(error, STATUS_UNSUPPORTED,
			"--disk %.100s: its backing file '%.60s' is not the name of a file", path,
			backing->name);
	if (strcmp(backing->format, "raw") && strcmp(backing->format, "qcow2"))
		return error_set(error, STATUS_UNSUPPORTED,
			"--disk %.80s: it does not say its backing file's format, raw or qcow2 "
			"(qemu-img rebase -u -b %.60s -F FORMAT)",
			path, backing->name);
	return STATUS_OK;
}

/* ---- files ---- */

static int open_beneath(const char *folder, const char *name)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	int at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = at < 0 ? -1 : (int)syscall(SYS_openat2, at, name, &how, sizeof(how));
	int failure = errno;

	if (at >= 0)
		close(at);
	errno = failure;
	return fd;
}

static bool is_same_file(int one, int other)
{
	struct stat a, b;

	return !fstat(one, &a) && !fstat(other, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static enum status check_file(
	const struct chain *chain, int fd, const char *path, const char *name, struct error *error)
{
	struct error reason;
	struct stat info;
	enum status status;

	for (unsigned i = 0; i < chain->count; i++) {
		if (is_same_file(chain->files[i].fd, fd))
			return error_set(error, STATUS_UNSUPPORTED,
				"--disk %.100s: its backing files go in a circle (%.100s)", path,
				name);
	}
	if (fstat(fd, &info) || (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode)))
		return error_set(error, STATUS_UNSUPPORTED,
			"--disk %.100s: its backing file %.100s is no file", path, name);
	status = disk_lock(fd, false, &reason);
	return status == STATUS_OK
		? STATUS_OK
		: error_set(error, status, "--disk %.80s: its backing file %.60s: %.100s", path,
			  name, reason.text);
}

static enum status open_next(
	const char *path, const struct backing *backing, struct chain *chain, struct error *error)
{
	char folder[PATH_MAX];
	const char *name;
	enum status status;
	int fd = -1;

	folder_of(path, folder);
	name = name_within(folder, backing->name);
	if (name)
		fd = open_beneath(folder, name);
	if (!name || (fd < 0 && errno == EXDEV))
		return error_set(error, STATUS_UNSUPPORTED,
			"--disk %.80s: its backing file %.80s lies outside of the image's folder; move "
			"it there (qemu-img rebase -u)",
			path, backing->name);
	if (fd < 0)
		return error_set(error, STATUS_IO, "--disk %.100s: its backing file %.80s: %s",
			path, backing->name, strerror(errno));
	status = check_file(chain, fd, path, backing->name, error);
	if (status != STATUS_OK) {
		close(fd);
		return status;
	}
	chain->files[chain->count++] =
		(struct chain_file){.fd = fd, .is_qcow2 = !strcmp(backing->format, "qcow2")};
	return STATUS_OK;
}

/* path becomes the backing file's. */
static enum status go_down(char path[PATH_MAX], struct chain *chain, struct error *error)
{
	static struct backing backing;
	char folder[PATH_MAX], next[PATH_MAX];
	struct error reason;
	enum status status = ask_header(&chain->files[chain->count - 1], &backing, &reason);

	if (status != STATUS_OK)
		return error_set(error, status, "--disk %.100s: %.140s", path, reason.text);
	if (!backing.name[0])
		return STATUS_END;
	if (chain->count == CHAIN_FILES_MAX)
		return error_set(error, STATUS_UNSUPPORTED,
			"--disk %.100s: more than %u images stand on each other", path,
			CHAIN_FILES_MAX);
	status = check_words(path, &backing, error);
	if (status == STATUS_OK)
		status = open_next(path, &backing, chain, error);
	if (status != STATUS_OK)
		return status;
	folder_of(path, folder);
	if (snprintf(next, sizeof(next), "%s%s%s", backing.name[0] == '/' ? "" : folder,
		    backing.name[0] == '/' ? "" : "/", backing.name) >= (int)sizeof(next))
		return error_set(
			error, STATUS_UNSUPPORTED, "--disk %.100s: its name is too long", path);
	strcpy(path, next);
	return STATUS_OK;
}

enum status backing_open(const char *path, struct chain *chain, struct error *error)
{
	char at[PATH_MAX];
	enum status status = STATUS_OK;

	if (snprintf(at, sizeof(at), "%s", path) >= (int)sizeof(at))
		return error_set(
			error, STATUS_INVALID, "--disk %.100s: its name is too long", path);
	while (status == STATUS_OK && chain->files[chain->count - 1].is_qcow2)
		status = go_down(at, chain, error);
	return status == STATUS_END ? STATUS_OK : status;
}
