/* SPDX-License-Identifier: MIT */
/* lodge stop, lodge kill, lodge rm. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/linux/control.h"
#include "control/linux/fleet.h"
#include "control/linux/message.h"
#include "hosts/linux/runner.h"

#define STOP_SECONDS 10
#define STOP_SECONDS_MOST 86400
#define NAMES_MOST 1000 /* at once */
/* Past the guest's time: the runner's own end, and the front's. */
#define MARGIN_MS 8000
/* A front that does not answer is stopped, or hangs. */
#define KILL_PATIENCE_MS 3000

const struct option_row stop_options[] = {
	{"timeout", "SECONDS",
		"how long the guest has to power off, then it is stopped by force [10]"},
	{NULL, NULL, NULL},
};
const struct option_row rm_options[] = {
	{"force", NULL, "one that runs is killed first"},
	{NULL, NULL, NULL},
};

/* ---- ending one ---- */

static bool wait_for_end(int folder, u64 patience_ms)
{
	u64 deadline = loop_now_ns() + patience_ms * 1000000;

	while (registry_is_running(folder)) {
		if (loop_now_ns() > deadline)
			return false;
		usleep(2000);
	}
	return true;
}

static int open_process(int pid)
{
	return pid > 1 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

static void wait_for_process(int handle, int patience_ms)
{
	struct pollfd polled = {.fd = handle, .events = POLLIN};

	if (handle < 0)
		return;
	poll(&polled, 1, patience_ms);
	close(handle);
}

/* Without the front's help. Its runner dies with it, a moment later. */
static bool kill_front(const struct registered *registered)
{
	int folder = registered->folder, runner = open_process((int)registered->config.runner_pid);
	int handle = open_process(control_peer(folder));

	/* The number is surely the front's, since the handle is older than this look at its lock. */
	if (handle >= 0 && registry_is_running(folder))
		syscall(SYS_pidfd_send_signal, handle, SIGKILL, NULL, 0);
	wait_for_process(handle, KILL_PATIENCE_MS);
	wait_for_process(runner, KILL_PATIENCE_MS);
	return wait_for_end(folder, KILL_PATIENCE_MS);
}

static enum status end_by_force(const struct registered *registered, struct error *error)
{
	char answer[CONTROL_LINE_BYTES];
	enum status status = control_ask(registered->folder, "kill\n", KILL_PATIENCE_MS, answer);

	if (status != STATUS_BUSY && wait_for_end(registered->folder, KILL_PATIENCE_MS))
		return STATUS_OK;
	if (kill_front(registered))
		return STATUS_OK;
	return error_set(error, STATUS_IO, "the machine '%s' cannot be killed (process %u)",
		registered->config.name, registered->config.front_pid);
}

/* patience_ms is the guest's. */
static enum status end_by_button(
	const struct registered *registered, u64 patience_ms, struct error *error)
{
	char line[CONTROL_LINE_BYTES], answer[CONTROL_LINE_BYTES];
	int exit_status, was_forced;
	enum status status;

	snprintf(line, sizeof(line), "stop %llu\n", (unsigned long long)patience_ms);
	status = control_ask(registered->folder, line, patience_ms + MARGIN_MS, answer);
	if (status == STATUS_BUSY)
		return end_by_force(registered, error);
	if (!wait_for_end(registered->folder, KILL_PATIENCE_MS))
		return end_by_force(registered, error);
	if (status == STATUS_OK && sscanf(answer, "ended %d %d", &exit_status, &was_forced) == 2 &&
		was_forced)
		message_fail(0, "'%s' did not power off in time, and was stopped by force",
			registered->config.name);
	return STATUS_OK;
}

/* The front of one that is just being made does not listen yet. */
static void wait_for_front(int folder)
{
	u64 deadline = loop_now_ns() + KILL_PATIENCE_MS * 1000000ull;

	while (registry_is_running(folder) && !control_peer(folder) && loop_now_ns() < deadline)
		usleep(2000);
}

/* ---- over names ---- */

/* Goes on after a failure; the first one's status counts. */
static int for_each_name(const struct options *options,
	enum status (*act)(const char *name, u64 argument, struct error *error), u64 argument)
{
	int result = LODGE_EXIT_OK;

	for (unsigned i = 0; i < options->name_count; i++) {
		struct error error;
		enum status status = act(options->names[i], argument, &error);

		if (status != STATUS_OK) {
			int failed = message_fail_status(status, &error);

			result = result ? result : failed;
		}
	}
	return result;
}

/* One that has ended already is no failure: it is as was asked. */
static enum status stop_one(const char *name, u64 patience_ms, struct error *error)
{
	static struct registered registered;
	enum status status = registry_find(name, &registered, error);

	if (status != STATUS_OK)
		return status;
	if (registered.is_running) {
		wait_for_front(registered.folder);
		status = end_by_button(&registered, patience_ms, error);
	}
	close(registered.folder);
	return status;
}

static enum status kill_one(const char *name, u64 unused_argument, struct error *error)
{
	static struct registered registered;
	enum status status = registry_find(name, &registered, error);

	if (status != STATUS_OK)
		return status;
	if (registered.is_running) {
		wait_for_front(registered.folder);
		status = end_by_force(&registered, error);
	}
	close(registered.folder);
	return status;
}

static enum status remove_one(const char *name, u64 by_force, struct error *error)
{
	enum status status = by_force ? kill_one(name, 0, error) : STATUS_OK;

	if (status != STATUS_OK)
		return status;
	status = registry_forget(name, error);
	/* A machine on a terminal is forgotten at its end already. */
	if (by_force && status == STATUS_NOT_FOUND)
		status = STATUS_OK;
	return status;
}

static enum status read_seconds(const char *text, u64 *ms, struct error *error)
{
	char *end;
	unsigned long seconds = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || seconds > STOP_SECONDS_MOST)
		return error_set(error, STATUS_INVALID,
			"stop: --timeout %.40s: not 0 to %u seconds", text, STOP_SECONDS_MOST);
	*ms = seconds * 1000;
	return STATUS_OK;
}

/* Each by a process of its own, so that several take no longer than one. The first name's failure counts. */
static int stop_all(const struct options *options, u64 patience_ms)
{
	int result = LODGE_EXIT_OK, status;
	pid_t pids[NAMES_MOST];

	for (unsigned i = 0; i < options->name_count; i++) {
		struct options one = {.names = &options->names[i], .name_count = 1};

		pids[i] = fork();
		if (!pids[i])
			_exit(for_each_name(&one, stop_one, patience_ms));
	}
	for (unsigned i = 0; i < options->name_count; i++) {
		bool is_good =
			pids[i] > 0 && waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status);

		result = result ? result : is_good ? WEXITSTATUS(status) : LODGE_EXIT_FAILURE;
	}
	return result;
}

int command_stop(int argc, char **argv)
{
	struct options options;
	struct error error;
	u64 patience_ms = STOP_SECONDS * 1000;
	enum status status =
		options_read("stop", stop_options, argc, argv, 1, NAMES_MOST, &options, &error);

	if (status == STATUS_OK && options.values[0])
		status = read_seconds(options.values[0], &patience_ms, &error);
	if (status != STATUS_OK)
		return message_fail_status(status, &error);
	return stop_all(&options, patience_ms);
}

int command_kill(int argc, char **argv)
{
	struct options options;
	struct error error;
	enum status status = options_read("kill", NULL, argc, argv, 1, ~0u, &options, &error);

	return status == STATUS_OK ? for_each_name(&options, kill_one, 0)
				   : message_fail_status(status, &error);
}

int command_rm(int argc, char **argv)
{
	struct options options;
	struct error error;
	enum status status = options_read("rm", rm_options, argc, argv, 1, ~0u, &options, &error);

	return status == STATUS_OK ? for_each_name(&options, remove_one, options.values[0] != NULL)
				   : message_fail_status(status, &error);
}
