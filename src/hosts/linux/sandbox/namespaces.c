/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hosts/linux/sandbox/layers.h"

/* The user namespace first: it gives the right to the others. */
static const struct {
	int flag;
	const char *name;
} kinds[] = {
	{CLONE_NEWUSER, "user"},
	{CLONE_NEWNS, "mount"},
	{CLONE_NEWNET, "net"},
	{CLONE_NEWIPC, "ipc"},
};

static bool has_mounts; /* a mount namespace of our own */

static bool write_file(const char *path, const char *line)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t length = (ssize_t)strlen(line);
	bool is_written = fd >= 0 && write(fd, line, (size_t)length) == length;

	if (fd >= 0)
		close(fd);
	return is_written;
}

/* We are who we were, and nobody else is anybody. Without it (no /proc) files have no owner, which harms nothing here. */
static void map_ids(uid_t user, gid_t group)
{
	char line[64];

	snprintf(line, sizeof(line), "%u %u 1", user, user);
	write_file("/proc/self/uid_map", line);
	write_file("/proc/self/setgroups", "deny");
	snprintf(line, sizeof(line), "%u %u 1", group, group);
	write_file("/proc/self/gid_map", line);
}

static void append(char *list, size_t bytes, const char *word)
{
	size_t length = strlen(list);

	snprintf(list + length, bytes - length, "%s%s", length ? ", " : "", word);
}

void namespaces_enter(struct sandbox_layer *layer)
{
	char have[64] = "", lack[64] = "";
	uid_t user = geteuid();
	gid_t group = getegid();
	int failure = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		/* A build that has to open files when it reports keeps its mounts. */
		if (SANDBOX_IS_REDUCED && kinds[i].flag == CLONE_NEWNS)
			continue;
		if (unshare(kinds[i].flag)) {
			failure = errno;
			append(lack, sizeof(lack), kinds[i].name);
			continue;
		}
		append(have, sizeof(have), kinds[i].name);
		if (kinds[i].flag == CLONE_NEWUSER)
			map_ids(user, group);
		if (kinds[i].flag == CLONE_NEWNS)
			has_mounts = true;
	}
	if (failure)
		layer_set(layer, false, "%s%snot %s: %s", have, have[0] ? "; " : "", lack,
			strerror(failure));
	else
		layer_set(layer, true, "own %s", have);
}

/* The current folder becomes the root, and the old root is gone. pivot_root does not work from an initramfs or a chroot. */
static bool make_root(void)
{
	if (!syscall(SYS_pivot_root, ".", "."))
		return !umount2(".", MNT_DETACH) && !chdir("/");
	return !chroot(".") && !chdir("/");
}

/* Puts an empty file system over a folder, any one that is there, and goes into it. */
static bool enter_empty(void)
{
	static const char *const folders[] = {"/tmp", "/proc", "/run", "/dev", "/usr"};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		if (!mount("lodge", folders[i], "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
			    "size=4k,nr_inodes=1,mode=0555"))
			return !chdir(folders[i]);
	}
	return false;
}

void root_enter(struct sandbox_layer *layer)
{
	if (SANDBOX_IS_REDUCED)
		layer_set(layer, false, "not in a build with sanitizers or coverage");
	else if (!has_mounts)
		layer_set(layer, false, "there is no mount namespace to make one in");
	else if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || !enter_empty() ||
		!make_root())
		layer_set(layer, false, "%s", strerror(errno));
	else if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			 "size=4k,nr_inodes=1"))
		layer_set(
			layer, true, "empty (it could not be made read-only: %s)", strerror(errno));
	else
		layer_set(layer, true, "empty, read-only");
}
