/* SPDX-License-Identifier: MIT */
/* lodge logs: what a detached machine's guest wrote to its console, and what lodge said meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/linux/fleet.h"
#include "control/linux/message.h"
#include "control/linux/registry.h"
#include "hosts/linux/runner.h"

#define LOOK_AGAIN_US 100000

const struct option_row logs_options[] = {
	{"follow", NULL, "goes on until the machine ends"},
	{NULL, NULL, NULL},
};

/* To its end. False: whoever reads has gone. */
static bool copy(int from, int to)
{
	char piece[8192];
	ssize_t got;

	while (from >= 0 && (got = read(from, piece, sizeof(piece))) > 0) {
		for (ssize_t done = 0; done < got;) {
			ssize_t written = write(to, piece + done, (size_t)(got - done));

			if (written < 0 && errno != EINTR)
				return false;
			done += written > 0 ? written : 0;
		}
	}
	return true;
}

static int open_log(int folder, const char *name)
{
	return openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

static bool copy_file(int folder, const char *name, int to)
{
	int fd = open_log(folder, name);
	bool is_good = copy(fd, to);

	if (fd >= 0)
		close(fd);
	return is_good;
}

/* The log was begun anew: another file has its name. */
static bool is_replaced(int folder, int fd)
{
	struct stat ours, named;

	return !fstat(fd, &ours) && !fstatat(folder, "console.log", &named, AT_SYMLINK_NOFOLLOW) &&
		ours.st_ino != named.st_ino;
}

static bool follow(int folder, int log)
{
	bool is_running, is_good;

	do {
		is_running = registry_is_running(folder);
		is_good = copy(log, STDOUT_FILENO);
		if (is_good && is_replaced(folder, log)) {
			is_good = copy(log, STDOUT_FILENO);
			close(log);
			log = open_log(folder, "console.log");
			continue;
		}
		if (is_running && is_good)
			usleep(LOOK_AGAIN_US);
	} while (is_running && is_good && log >= 0);
	return is_good;
}

static int print_logs(int folder, bool is_followed)
{
	int log = open_log(folder, "console.log");
	bool is_good = copy_file(folder, "messages", STDERR_FILENO) &&
		copy_file(folder, "console.log.1", STDOUT_FILENO);

	if (is_good && log >= 0)
		is_good = is_followed ? follow(folder, log) : copy(log, STDOUT_FILENO);
	return is_good ? LODGE_EXIT_OK
		       : message_fail(LODGE_EXIT_FAILURE, "logs: %s", strerror(errno));
}

int command_logs(int argc, char **argv)
{
	static struct registered registered;
	struct options options;
	struct error error;
	enum status status = options_read("logs", logs_options, argc, argv, 1, 1, &options, &error);

	if (status == STATUS_OK)
		status = registry_find(options.names[0], &registered, &error);
	if (status == STATUS_OK && !registered.config.detach)
		status = error_set(&error, STATUS_NOT_FOUND,
			"logs: '%s' has its console on a terminal, and keeps none",
			registered.config.name);
	return status == STATUS_OK ? print_logs(registered.folder, options.values[0] != NULL)
				   : message_fail_status(status, &error);
}
