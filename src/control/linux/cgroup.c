/* SPDX-License-Identifier: MIT */
#include "control/linux/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/linux/message.h"

static char parent[PATH_MAX]; /* "": not found */
static int group = -1;
static char name[128];

/* ---- files of a group ---- */

static bool read_file(const char *path, char *text, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, text, bytes - 1) : -1;

	if (fd >= 0)
		close(fd);
	text[got > 0 ? got : 0] = 0;
	return got >= 0;
}

static bool write_value(const char *file, const char *value)
{
	int fd = openat(group, file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ssize_t length = (ssize_t)strlen(value);
	bool is_written = fd >= 0 && write(fd, value, (size_t)length) == length;

	if (fd >= 0)
		close(fd);
	return is_written;
}

/* ---- where groups may be made ---- */

/* It is ours, and what it passes on holds processors and memory. */
static bool passes_on(const char *path)
{
	char file[PATH_MAX + 32], text[256];

	snprintf(file, sizeof(file), "%s/cgroup.subtree_control", path);
	return !access(path, W_OK) && read_file(file, text, sizeof(text)) && strstr(text, "cpu") &&
		strstr(text, "memory");
}

/* This process's own group: the line of version 2 begins with 0::. */
static bool find_own(char *path, size_t bytes)
{
	char text[PATH_MAX], *line, *end;

	if (!read_file("/proc/self/cgroup", text, sizeof(text)))
		return false;
	line = strncmp(text, "0::", 3) ? strstr(text, "\n0::") : text;
	if (!line)
		return false;
	line = strstr(line, "0::") + 3;
	end = strchr(line, '\n');
	if (end)
		*end = 0;
	return snprintf(path, bytes, "/sys/fs/cgroup%s", line) < (int)bytes;
}

static bool has_systemd(void)
{
	char bus[PATH_MAX];
	const char *user = getenv("XDG_RUNTIME_DIR");

	if (access("/run/systemd/system", F_OK) || access("/usr/bin/busctl", X_OK))
		return false;
	if (!geteuid())
		return true;
	snprintf(bus, sizeof(bus), "%s/systemd/private", user ? user : "/nonexistent");
	return !access(bus, F_OK);
}

enum cgroup_kind cgroup_find(void)
{
	const char *given = getenv("LODGE_CGROUP");

	if (given && given[0] && strlen(given) < sizeof(parent) && passes_on(given)) {
		strcpy(parent, given);
		return CGROUP_OWN;
	}
	if (find_own(parent, sizeof(parent)) && passes_on(parent))
		return CGROUP_OWN;
	return has_systemd() ? CGROUP_SYSTEMD : CGROUP_NONE;
}

/* ---- a group of our own ---- */

static bool set_limits(const struct machine_config *config)
{
	char value[64];
	bool is_good = true;

	snprintf(value, sizeof(value), "%u", config->cpu_weight);
	if (config->cpu_weight != 100)
		is_good = write_value("cpu.weight", value);
	/* Of each tenth of a second. */
	snprintf(value, sizeof(value), "%u 100000", config->cpu_limit * 1000);
	if (is_good && config->cpu_limit)
		is_good = write_value("cpu.max", value);
	snprintf(value, sizeof(value), "%llu", (unsigned long long)config->memory_limit);
	if (is_good && config->memory_limit)
		is_good = write_value("memory.max", value);
	return is_good;
}

enum status cgroup_create(const struct machine_config *config, struct error *error)
{
	char path[PATH_MAX + sizeof(name) + 1];

	snprintf(name, sizeof(name), "lodge-%s", config->name);
	snprintf(path, sizeof(path), "%s/%s", parent, name);
	/* One that a killed machine of that name has left is taken over. */
	if (!mkdir(path, 0700) || errno == EEXIST)
		group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (group >= 0 && set_limits(config))
		return STATUS_OK;
	error_set_errno(error, path);
	cgroup_destroy();
	return STATUS_IO;
}

int cgroup_enter(void)
{
	return write_value("cgroup.procs", "0") ? 0 : errno;
}

void cgroup_destroy(void)
{
	char path[PATH_MAX + sizeof(name) + 1];

	if (group < 0)
		return;
	close(group);
	group = -1;
	snprintf(path, sizeof(path), "%s/%s", parent, name);
	rmdir(path);
}

/* ---- systemd's ---- */

#define PROPERTIES_MAX 4

/* Manager.StartTransientUnit (name, mode, properties, none): org.freedesktop.systemd1(5). A property is a name, a type and a value. */
static void put_properties(const struct machine_config *config, u32 pid, char **words,
	char values[PROPERTIES_MAX][32], unsigned *count)
{
	const struct {
		const char *name, *type;
		u64 value;
		bool is_set;
	} properties[PROPERTIES_MAX] = {
		{"PIDs", "au", pid, true},
		{"CPUWeight", "t", config->cpu_weight, config->cpu_weight != 100},
		{"CPUQuotaPerSecUSec", "t", (u64)config->cpu_limit * 10000, config->cpu_limit != 0},
		{"MemoryMax", "t", config->memory_limit, config->memory_limit != 0},
	};

	for (unsigned i = 0; i < PROPERTIES_MAX; i++) {
		if (!properties[i].is_set)
			continue;
		snprintf(values[i], sizeof(values[i]), "%llu",
			(unsigned long long)properties[i].value);
		words[(*count)++] = (char *)properties[i].name;
		words[(*count)++] = (char *)properties[i].type;
		if (properties[i].type[0] == 'a')
			words[(*count)++] = (char *)"1"; /* an array's length */
		words[(*count)++] = values[i];
	}
}

static bool run_busctl(char **words)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execv("/usr/bin/busctl", words);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
		!WEXITSTATUS(status);
}

enum status cgroup_ask_systemd(const struct machine_config *config, u32 pid, struct error *error)
{
	static const char *const start[] = {"call", "org.freedesktop.systemd1",
		"/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
		"StartTransientUnit", "ssa(sv)a(sa(sv))"};
	char unit[128], number[8], values[PROPERTIES_MAX][32];
	char *words[40];
	unsigned count = 0, count_at;

	words[count++] = (char *)"busctl";
	words[count++] = (char *)(geteuid() ? "--user" : "--system");
	for (unsigned i = 0; i < ARRAY_SIZE(start); i++)
		words[count++] = (char *)start[i];
	snprintf(unit, sizeof(unit), "lodge-%s-%u.scope", config->name, pid);
	words[count++] = unit;
	words[count++] = (char *)"fail";
	count_at = count++;
	put_properties(config, pid, words, values, &count);
	snprintf(number, sizeof(number), "%u",
		1u + (config->cpu_weight != 100) + (config->cpu_limit != 0) +
			(config->memory_limit != 0));
	words[count_at] = number;
	words[count++] = (char *)"0";
	words[count] = NULL;
	if (run_busctl(words))
		return STATUS_OK;
	return error_set(error, STATUS_IO,
		"systemd made no scope for this machine's limits (busctl StartTransientUnit); run it "
		"without them, or see lodge doctor");
}
