/* SPDX-License-Identifier: MIT */
#include "control/linux/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/linux/console_hub.h"
#include "control/linux/control.h"
#include "control/linux/gdb_socket.h"
#include "control/linux/inherited.h"
#include "control/linux/limits.h"
#include "control/linux/message.h"
#include "control/linux/perf_map.h"
#include "control/linux/process.h"
#include "control/linux/terminal.h"
#include "control/linux/vsock_socket.h"
#include "hosts/linux/runner.h"

/* ---- both ---- */

static enum status start(
	struct supervised *supervised, const int stdio[3], bool wants_terminal, struct error *error)
{
	struct machine_config *config = supervised->config;
	enum status status = control_open(&supervised->claim, error);

	if (status == STATUS_OK)
		status = limits_open(config, error);
	if (status == STATUS_OK)
		status = process_watch_signals(wants_terminal, error);
	if (status == STATUS_OK)
		status = process_start(config, supervised->description, stdio, limits_enter, error);
	if (status != STATUS_OK)
		return status;
	status = limits_apply(error);
	config->front_pid = (u32)getpid();
	config->runner_pid = process_pid();
	config->started = (u64)time(NULL);
	if (status == STATUS_OK)
		status = registry_write(&supervised->claim, config, error);
	if (status != STATUS_OK)
		process_kill();
	return status;
}

static void watch(bool has_hub, void (*prepare_more)(struct loop *loop))
{
	static struct loop loop;

	while (!process_has_ended()) {
		loop_begin(&loop);
		process_prepare(&loop);
		control_prepare(&loop);
		limits_prepare(&loop);
		vsock_socket_prepare(&loop);
		if (has_hub)
			console_hub_prepare(&loop);
		if (prepare_more)
			prepare_more(&loop);
		loop_wait(&loop);
	}
}

/* On record first, so that whoever waited for the end finds it there. */
static void finish(struct supervised *supervised, int exit_status, bool forget)
{
	struct machine_config *config = supervised->config;
	struct error ignored;
	enum status status;

	config->ended = (u64)time(NULL);
	config->exit_status = (u32)exit_status;
	snprintf(config->state, sizeof(config->state), process_was_killed() ? "killed" : "stopped");
	status = forget ? STATUS_OK : registry_write(&supervised->claim, config, &ignored);
	(void)status;		 /* then it is found killed */
	perf_map_belongs_to(-1); /* it may not have come to a runner */
	gdb_socket_close(config->gdb);
	vsock_socket_close();
	limits_close();
	registry_release(&supervised->claim, config->name, forget);
	control_close(exit_status);
}

/* ---- on this terminal ---- */

int supervise_here(struct supervised *supervised)
{
	static const int stdio[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
	bool wants_terminal = strcmp(supervised->config->console, "none") != 0;
	struct error error;
	enum status status;
	int exit_status;

	terminal_remember();
	if (wants_terminal)
		atexit(terminal_restore);
	snprintf(supervised->config->state, sizeof(supervised->config->state), "running");
	status = start(supervised, stdio, wants_terminal, &error);
	if (status == STATUS_OK || process_pid())
		watch(false, NULL);
	terminal_restore();
	exit_status =
		status == STATUS_OK ? process_exit_status() : message_fail_status(status, &error);
	finish(supervised, exit_status, true);
	process_restore();
	return exit_status;
}

/* ---- in the background ---- */

static struct {
	struct supervised *supervised;
	int report; /* to the process that waits for the guest to be loaded: a byte, the exit status; -1: it has been told */
} keeper;

static void leave_the_starter(int exit_status)
{
	u8 byte = (u8)exit_status;

	if (keeper.report < 0)
		return;
	console_hub_take_messages();
	if (write(keeper.report, &byte, 1) < 0)
		errno = 0; /* it did not wait */
	close(keeper.report);
	keeper.report = -1;
}

static void guest_is_loaded(void *context, short events)
{
	struct machine_config *config = keeper.supervised->config;
	struct error error;
	u8 byte;
	bool is_loaded = read(keeper.supervised->ready, &byte, 1) == 1;

	close(keeper.supervised->ready);
	keeper.supervised->ready = -1;
	if (!is_loaded)
		return; /* the runner says why, and ends */
	snprintf(config->state, sizeof(config->state), "running");
	if (registry_write(&keeper.supervised->claim, config, &error) != STATUS_OK)
		message_fail_status(STATUS_IO, &error);
	leave_the_starter(LODGE_EXIT_OK);
}

static void prepare_ready(struct loop *loop)
{
	loop_add(loop, keeper.supervised->ready, POLLIN, guest_is_loaded, NULL);
}

/* Nothing of the terminal, nor of whoever reads lodge's output, is held; only what goes wrong until the guest is loaded is still said there. */
static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	signal(SIGPIPE, SIG_IGN);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	close(null);
	inherited_close();
}

static int keep(struct supervised *supervised)
{
	struct machine_config *config = supervised->config;
	int stdio[3] = {-1, -1, -1}, exit_status;
	bool was_loaded;
	struct error error;
	enum status status = console_hub_open(
		&supervised->claim, strcmp(config->console, "none") != 0, stdio, &error);

	if (status == STATUS_OK)
		status = start(supervised, stdio, false, &error);
	for (unsigned i = 0; i < 3; i++)
		close(stdio[i]);
	if (status == STATUS_OK || process_pid())
		watch(true, prepare_ready);
	/* It may have been loaded and have ended before anybody looked. */
	if (status == STATUS_OK && supervised->ready >= 0)
		guest_is_loaded(NULL, POLLIN);
	console_hub_finish();
	exit_status =
		status == STATUS_OK ? process_exit_status() : message_fail_status(status, &error);
	was_loaded = keeper.report < 0;
	if (!was_loaded && process_was_forced())
		message_fail(0, "'%s' was stopped before its guest was loaded", config->name);
	finish(supervised, exit_status, !was_loaded);
	leave_the_starter(exit_status);
	return exit_status;
}

/* What the keeper ends with before the guest is loaded, or 0 when it is. */
static int wait_for_keeper(int report, const char *name)
{
	u8 byte;
	ssize_t got;

	do
		got = read(report, &byte, 1);
	while (got < 0 && errno == EINTR);
	if (got != 1)
		return message_fail(LODGE_EXIT_FAULT,
			"the process that keeps '%s' was killed before its guest was loaded", name);
	if (byte == LODGE_EXIT_OK)
		printf("%s\n", name);
	return byte;
}

int supervise_detached(struct supervised *supervised)
{
	int report[2];
	pid_t pid;

	fflush(stdout);
	if (pipe2(report, O_CLOEXEC) || (pid = fork()) < 0)
		return message_fail(LODGE_EXIT_FAILURE, "lodge: %s", strerror(errno));
	if (pid) {
		close(report[1]);
		close(supervised->config->ready_fd);
		return wait_for_keeper(report[0], supervised->config->name);
	}
	keeper.supervised = supervised;
	keeper.report = report[1];
	close(report[0]);
	leave_terminal();
	_exit(keep(supervised));
}
