/* SPDX-License-Identifier: MIT */
#include "control/linux/registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control/linux/message.h"

/* What lies in a machine's folder. */
static const char *const files[] = {"control", "console", "status", "machine.json.new",
	"machine.json", "console.log", "console.log.1", "messages", "lock"};
/* Of these, what one that has ended does not need. */
#define FILES_OF_RUNNING 4

static int top = -1; /* the registry's folder */

/* ---- the folder ---- */

const char *registry_path(void)
{
	static char path[PATH_MAX];
	const char *own = getenv("LODGE_RUNTIME_DIR"), *user = getenv("XDG_RUNTIME_DIR");

	if (own && own[0])
		snprintf(path, sizeof(path), "%s", own);
	else if (!geteuid())
		snprintf(path, sizeof(path), "/run/lodge");
	else if (user && user[0] == '/')
		snprintf(path, sizeof(path), "%s/lodge", user);
	else
		snprintf(path, sizeof(path), "/tmp/lodge-%u", geteuid());
	return path;
}

/* Others may have made it: /tmp is everybody's. */
static bool is_ours(int folder)
{
	struct stat info;

	if (fstat(folder, &info) || info.st_uid != geteuid())
		return false;
	return !(info.st_mode & 077) || !fchmod(folder, 0700);
}

static enum status open_top(struct error *error)
{
	const char *path = registry_path();

	if (top >= 0)
		return STATUS_OK;
	if (mkdir(path, 0700) && errno != EEXIST)
		return error_set_errno(error, path);
	top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top < 0)
		return error_set_errno(error, path);
	if (is_ours(top))
		return STATUS_OK;
	close(top);
	top = -1;
	return error_set(error, STATUS_IO, "%.200s is another user's", path);
}

/* ---- locks ---- */

/* Of an open file, so that a fork shares it, and the last close or death gives it back. */
static bool lock_take(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return !fcntl(fd, F_OFD_SETLK, &lock);
}

static bool lock_is_free(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type == F_UNLCK;
}

static bool folder_is_running(int folder)
{
	int fd = openat(folder, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	bool is_running = fd >= 0 && !lock_is_free(fd);

	if (fd >= 0)
		close(fd);
	return is_running;
}

bool registry_is_running(int folder)
{
	return folder_is_running(folder);
}

/* ---- records ---- */

static bool read_record(int folder, struct machine_config *config)
{
	static char json[CONFIG_JSON_BYTES_MAX + 1];
	struct error ignored;
	int fd = openat(folder, "machine.json", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, json, sizeof(json)) : -1;

	if (fd >= 0)
		close(fd);
	config_init(config);
	return got >= 0 &&
		config_read(config, json, (size_t)got, CONFIG_USER | CONFIG_RECORD, &ignored) ==
		STATUS_OK;
}

static bool write_record(int folder, const struct machine_config *config)
{
	static char json[CONFIG_JSON_BYTES_MAX];
	struct text text;
	bool is_written;
	int fd;

	text_init(&text, json, sizeof(json));
	if (config_write(config, CONFIG_USER | CONFIG_RECORD, &text) != STATUS_OK)
		return false;
	fd = openat(folder, "machine.json.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	is_written = write(fd, json, text.length) == (ssize_t)text.length;
	close(fd);
	return is_written && !renameat(folder, "machine.json.new", folder, "machine.json");
}

enum status registry_write(
	const struct claim *claim, const struct machine_config *config, struct error *error)
{
	if (claim->folder < 0 || write_record(claim->folder, config))
		return STATUS_OK;
	return error_set_errno(error, registry_path());
}

/* ---- what is left behind ---- */

static void remove_files(int folder, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		unlinkat(folder, files[i], 0);
}

static void remove_folder(int folder, const char *name)
{
	remove_files(folder, ARRAY_SIZE(files));
	unlinkat(top, name, AT_REMOVEDIR);
}

/* The front is dead. Had it lived until the machine's end, the record would say so. */
static void put_right(int folder, const char *name)
{
	static struct machine_config config;

	if (!read_record(folder, &config) || !config.detach) {
		remove_folder(folder, name);
		return;
	}
	remove_files(folder, FILES_OF_RUNNING);
	if (config.ended)
		return;
	config.ended = (u64)time(NULL);
	snprintf(config.state, sizeof(config.state), "killed");
	write_record(folder, &config);
}

static int is_name(const struct dirent *entry)
{
	return config_name_is_good(entry->d_name);
}

static int open_machine(const char *name)
{
	return openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void put_all_right(void)
{
	struct dirent **names;
	int count = scandirat(top, ".", &names, is_name, NULL);

	for (int i = 0; i < count; i++) {
		int folder = open_machine(names[i]->d_name);

		if (folder >= 0 && !folder_is_running(folder))
			put_right(folder, names[i]->d_name);
		if (folder >= 0)
			close(folder);
		free(names[i]);
	}
	if (count >= 0)
		free(names);
}

/* Alone with the registry, all of it put right. The descriptor that unlock takes. */
static enum status lock_all(int *fd, struct error *error)
{
	enum status status = open_top(error);

	if (status != STATUS_OK)
		return status;
	*fd = openat(top, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*fd < 0)
		return error_set_errno(error, registry_path());
	while (flock(*fd, LOCK_EX)) {
		if (errno == EINTR)
			continue;
		close(*fd);
		return error_set_errno(error, registry_path());
	}
	put_all_right();
	return STATUS_OK;
}

enum status registry_check(struct error *error)
{
	int all;
	enum status status = lock_all(&all, error);

	if (status == STATUS_OK)
		close(all);
	return status;
}

/* ---- taking a name ---- */

/* guest, guest-2, ...: the first that no folder has. */
static void choose_name(char *name, size_t bytes)
{
	snprintf(name, bytes, "guest");
	for (unsigned i = 2; !faccessat(top, name, F_OK, AT_SYMLINK_NOFOLLOW); i++)
		snprintf(name, bytes, "guest-%u", i);
}

static enum status make_folder(const char *name, struct claim *claim, struct error *error)
{
	if (mkdirat(top, name, 0700))
		return error_set_errno(error, registry_path());
	claim->folder = open_machine(name);
	if (claim->folder >= 0)
		claim->lock = openat(claim->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (claim->lock >= 0 && lock_take(claim->lock))
		return STATUS_OK;
	error_set_errno(error, registry_path());
	registry_release(claim, name, false);
	unlinkat(top, name, AT_REMOVEDIR);
	return STATUS_IO;
}

/* Nobody of that name runs afterwards. */
static enum status free_name(const char *name, struct error *error)
{
	enum status status = STATUS_OK;
	int folder = open_machine(name);

	if (folder < 0)
		return STATUS_OK;
	if (folder_is_running(folder))
		status = error_set(error, STATUS_BUSY,
			"there is a machine '%s' already: choose another --name, or lodge stop %s",
			name, name);
	else
		remove_folder(folder, name);
	close(folder);
	return status;
}

enum status registry_claim(struct machine_config *config, struct claim *claim, struct error *error)
{
	int all;
	enum status status = lock_all(&all, error);

	*claim = (struct claim){-1, -1};
	if (status != STATUS_OK)
		return status;
	if (!config->name[0])
		choose_name(config->name, sizeof(config->name));
	status = free_name(config->name, error);
	if (status == STATUS_OK)
		status = make_folder(config->name, claim, error);
	close(all);
	return status;
}

void registry_release(struct claim *claim, const char *name, bool forget)
{
	if (claim->folder >= 0 && forget)
		remove_folder(claim->folder, name);
	else if (claim->folder >= 0)
		remove_files(claim->folder, FILES_OF_RUNNING);
	if (claim->folder >= 0)
		close(claim->folder);
	if (claim->lock >= 0)
		close(claim->lock);
	*claim = (struct claim){-1, -1};
}

/* ---- looking ---- */

/* One that is being made has no record yet; its name is known. */
static bool look(const char *name, struct registered *registered)
{
	registered->folder = open_machine(name);
	if (registered->folder < 0)
		return false;
	registered->is_running = folder_is_running(registered->folder);
	if (!read_record(registered->folder, &registered->config))
		config_init(&registered->config);
	snprintf(registered->config.name, sizeof(registered->config.name), "%s", name);
	return true;
}

enum status registry_find(const char *name, struct registered *registered, struct error *error)
{
	bool is_found;
	int all;
	enum status status = lock_all(&all, error);

	if (status != STATUS_OK)
		return status;
	is_found = config_name_is_good(name) && look(name, registered);
	close(all);
	if (is_found)
		return STATUS_OK;
	return error_set(
		error, STATUS_NOT_FOUND, "there is no machine '%.70s'; see lodge list --all", name);
}

enum status registry_each(void (*visit)(const struct registered *registered, void *context),
	void *context, struct error *error)
{
	static struct registered registered;
	struct dirent **names;
	int all, count;
	enum status status = lock_all(&all, error);

	if (status != STATUS_OK)
		return status;
	close(all);
	count = scandirat(top, ".", &names, is_name, versionsort);
	if (count < 0)
		return error_set_errno(error, registry_path());
	for (int i = 0; i < count; i++) {
		if (look(names[i]->d_name, &registered)) {
			visit(&registered, context);
			close(registered.folder);
		}
		free(names[i]);
	}
	free(names);
	return STATUS_OK;
}

enum status registry_forget(const char *name, struct error *error)
{
	int all, folder = -1;
	enum status status = lock_all(&all, error);

	if (status != STATUS_OK)
		return status;
	if (config_name_is_good(name))
		folder = open_machine(name);
	if (folder < 0)
		status = error_set(error, STATUS_NOT_FOUND, "there is no machine '%.70s'", name);
	else if (folder_is_running(folder))
		status = error_set(error, STATUS_BUSY,
			"the machine '%s' runs: lodge stop %s comes first", name, name);
	else
		remove_folder(folder, name);
	if (folder >= 0)
		close(folder);
	close(all);
	return status;
}
