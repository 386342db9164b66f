/* SPDX-License-Identifier: MIT */
#include "control/linux/disk/boot_files.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/linux/disk/ext.h"
#include "control/linux/disk/locked_child.h"

#define NAME_BYTES 256
#define PATH_BYTES (NAME_BYTES + 64)

/* What initrds are called beside vmlinuz-VERSION: before and after VERSION. The one of plain vmlinuz has no - and no version. */
static const struct {
	const char *before, *after;
} initrd_names[] = {
	{"initrd.img", ""},    /* Debian, Ubuntu */
	{"initramfs", ".img"}, /* Fedora, Arch */
	{"initrd", ""},	       /* openSUSE */
	{"initramfs", ""},     /* Gentoo, Alpine */
	{"initrd", ".img"},
};

struct search {
	struct chain *chain;
	struct disk_view *disk;
	u64 initrd_limit;
	struct partition partitions[PARTITIONS_MAX];
	unsigned count;
	/* Of the kernel that was found. */
	const struct partition *partition;
	struct ext *ext;
	const char *folder; /* "/boot" or "" */
	char kernel[NAME_BYTES], root[BOOT_APPEND_BYTES];
};

/* ---- names ---- */

static bool ends_with(const char *name, const char *end)
{
	size_t length = strlen(name), end_length = strlen(end);

	return length >= end_length && !strcmp(name + length - end_length, end);
}

/* What package managers and people leave beside kernels. */
static bool is_leftover(const char *name)
{
	static const char *const ends[] = {".old", ".bak", ".dpkg-new", ".dpkg-tmp", ".dpkg-bak",
		".hmac", ".sig", ".signed", "~"};

	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++) {
		if (ends_with(name, ends[i]))
			return true;
	}
	return false;
}

static const char *version_of(const char *name)
{
	return name[strlen("vmlinuz")] ? name + strlen("vmlinuz-") : "";
}

bool boot_files_is_better(const char *name, const char *best)
{
	if (strcmp(name, "vmlinuz") && (strncmp(name, "vmlinuz-", 8) || !name[8]))
		return false;
	if (is_leftover(name) || strlen(name) >= NAME_BYTES)
		return false;
	return !best[0] || strverscmp(version_of(name), version_of(best)) > 0;
}

static void consider(void *context, const char *name)
{
	char *best = context;

	if (boot_files_is_better(name, best))
		snprintf(best, NAME_BYTES, "%s", name);
}

/* ---- the search ---- */

/* A kernel in this file system? Then search->ext stays open. */
static bool find_kernel(struct search *search)
{
	static const char *const folders[] = {"/boot", ""};

	for (unsigned i = 0; i < ARRAY_SIZE(folders); i++) {
		search->folder = folders[i];
		ext_list(search->ext, folders[i][0] ? folders[i] : "/", consider, search->kernel);
		if (search->kernel[0])
			return true;
	}
	return false;
}

static bool has_init(struct ext *ext)
{
	return ext_has(ext, "/sbin/init") || ext_has(ext, "/usr/sbin/init") ||
		ext_has(ext, "/usr/lib/systemd/systemd");
}

/* How the kernel is told of this file system: an initrd finds it by its UUID wherever it is; the bare kernel knows devices only. */
static void name_root(
	struct search *search, const struct partition *partition, struct ext *ext, bool has_initrd)
{
	char uuid[EXT_UUID_BYTES];

	ext_uuid(ext, uuid);
	if (has_initrd)
		snprintf(search->root, sizeof(search->root), "UUID=%s", uuid);
	else if (partition->number)
		snprintf(search->root, sizeof(search->root), "/dev/vda%u", partition->number);
	else
		snprintf(search->root, sizeof(search->root), "/dev/vda");
}

/* The root file system of a kernel that lies on a boot partition: the first other one with an init. */
static void find_other_root(struct search *search, bool has_initrd)
{
	struct error ignored;

	for (unsigned i = 0; i < search->count && !search->root[0]; i++) {
		struct ext *ext;

		if (&search->partitions[i] == search->partition ||
			ext_open(search->disk, &search->partitions[i], &ext, &ignored) != STATUS_OK)
			continue;
		if (has_init(ext))
			name_root(search, &search->partitions[i], ext, has_initrd);
		ext_close(ext);
	}
}

static enum status find_partition(struct search *search, struct error *error)
{
	enum status found = STATUS_NOT_FOUND;
	struct error last;

	search->count = partitions_find(search->disk, search->partitions);
	for (unsigned i = 0; i < search->count; i++) {
		enum status status =
			ext_open(search->disk, &search->partitions[i], &search->ext, &last);

		search->partition = &search->partitions[i];
		if (status == STATUS_OK && find_kernel(search))
			return STATUS_OK;
		if (status == STATUS_OK)
			ext_close(search->ext);
		if (status != STATUS_NOT_FOUND && found != STATUS_UNSUPPORTED)
			found = status;
		if (status == STATUS_UNSUPPORTED)
			*error = last;
	}
	if (found == STATUS_NOT_FOUND)
		return error_set(error, found,
			"there is no ext2, ext3 or ext4 file system with a kernel on it; give a kernel "
			"with --kernel FILE");
	if (found == STATUS_OK)
		return error_set(error, STATUS_NOT_FOUND,
			"there is no kernel (vmlinuz-VERSION) in its /boot; install one, or give one "
			"with --kernel FILE");
	return found;
}

/* ---- the files ---- */

static enum status read_kernel(
	struct search *search, struct locked_result *result, struct error *error)
{
	struct kernel_files files;
	char path[PATH_BYTES];
	enum status status;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", search->folder, search->kernel);
	status = ext_read(search->ext, path, KERNEL_BYTES_MAX, &fd, error);
	if (status == STATUS_OK)
		status = image_take_kernel(fd, path, &files, error);
	if (status != STATUS_OK)
		return status;
	result->fds[result->fd_count++] = files.kernel;
	if (files.payload >= 0)
		result->fds[result->fd_count++] = files.payload;
	return STATUS_OK;
}

static bool find_initrd(struct search *search, char path[PATH_BYTES])
{
	const char *version = version_of(search->kernel);

	for (unsigned i = 0; i < ARRAY_SIZE(initrd_names); i++) {
		snprintf(path, PATH_BYTES, "%s/%s%s%s%s", search->folder, initrd_names[i].before,
			version[0] ? "-" : "", version, initrd_names[i].after);
		if (ext_has(search->ext, path))
			return true;
	}
	return false;
}

/* The words of the answer: how many descriptors are the kernel's, then what the kernel is told. */
static void write_words(struct search *search, struct locked_result *result, unsigned kernel_fds)
{
	snprintf(result->text, sizeof(result->text), "%u %s%s%sconsole=ttyS0", kernel_fds,
		search->root[0] ? "root=" : "", search->root, search->root[0] ? " ro " : "");
}

static enum status work(void *context, struct locked_result *result, struct error *error)
{
	struct search *search = context;
	char path[PATH_BYTES];
	unsigned kernel_fds;
	bool has_initrd;
	enum status status = chain_open(search->chain, false, error);

	if (status != STATUS_OK)
		return status;
	search->disk = chain_view(search->chain);
	status = find_partition(search, error);
	if (status == STATUS_OK)
		status = read_kernel(search, result, error);
	if (status != STATUS_OK)
		return status;
	kernel_fds = result->fd_count;
	has_initrd = find_initrd(search, path);
	if (has_initrd)
		status = ext_read(search->ext, path, search->initrd_limit,
			&result->fds[result->fd_count], error);
	if (status != STATUS_OK)
		return status;
	result->fd_count += has_initrd;
	if (search->folder[0] || has_init(search->ext))
		name_root(search, search->partition, search->ext, has_initrd);
	else
		find_other_root(search, has_initrd);
	write_words(search, result, kernel_fds);
	return STATUS_OK;
}

/* ---- the parent's side ---- */

static void close_all(const struct locked_result *result)
{
	for (unsigned i = 0; i < result->fd_count; i++)
		close(result->fds[i]);
}

/* Nothing that the child says is believed: descriptors are files in memory that nobody can change any more, words are plain. */
static bool is_credible(const struct locked_result *result, unsigned kernel_fds)
{
	struct error ignored;

	if (kernel_fds < 1 || kernel_fds > 2 || result->fd_count < kernel_fds ||
		result->fd_count > kernel_fds + 1)
		return false;
	for (unsigned i = 0; i < result->fd_count; i++) {
		if (memfd_seal(result->fds[i], true, &ignored) != STATUS_OK)
			return false;
	}
	for (const char *at = result->text; *at; at++) {
		if (*at < ' ' || *at > '~')
			return false;
	}
	return true;
}

enum status boot_files_find(
	struct chain *disk, u64 initrd_limit, struct boot_files *files, struct error *error)
{
	static struct search search;
	struct locked_result result;
	int given[CHAIN_FILES_MAX];
	unsigned kernel_fds;
	int words;
	enum status status = chain_prepare(disk, false, error);

	search = (struct search){.chain = disk, .initrd_limit = initrd_limit};
	for (unsigned i = 0; i < disk->count; i++)
		given[i] = disk->files[i].fd;
	if (status == STATUS_OK)
		status = locked_child_run(work, &search, given, disk->count, &result, error);
	if (status != STATUS_OK)
		return status;
	if (sscanf(result.text, "%u %n", &kernel_fds, &words) != 1 ||
		!is_credible(&result, kernel_fds)) {
		close_all(&result);
		return error_set(error, STATUS_IO, "reading its /boot gave nonsense");
	}
	files->kernel.kernel = result.fds[0];
	files->kernel.payload = kernel_fds > 1 ? result.fds[1] : -1;
	files->initrd = result.fd_count > kernel_fds ? result.fds[kernel_fds] : -1;
	snprintf(files->append, sizeof(files->append), "%s", result.text + words);
	return STATUS_OK;
}
