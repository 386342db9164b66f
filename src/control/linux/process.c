/* SPDX-License-Identifier: MIT */
#include "control/linux/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control/linux/disk_file.h"
#include "control/linux/message.h"
#include "control/linux/net_start.h"
#include "control/linux/perf_map.h"
#include "control/linux/terminal.h"
#include "control/net.h"
#include "hosts/linux/runner.h"

#define POWER_BUTTON_SECONDS 10
#define STOP_SECONDS 3

/* How far the runner's end has been asked for. */
enum phase { PHASE_RUNNING, PHASE_BUTTON, PHASE_STOP, PHASE_KILL };

static struct {
	pid_t pid;
	int wait_status;
	enum phase phase;
	struct timespec deadline; /* of the phase, past PHASE_RUNNING */
} process;

/* ---- starting ---- */

enum status process_find_runner(char *path, size_t bytes, struct error *error)
{
	static const char *const places[] = {"lodge-vm", "../libexec/lodge/lodge-vm"};
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length < 0)
		return error_set_errno(error, "/proc/self/exe");
	self[length] = 0;
	*strrchr(self, '/') = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(path, bytes, "%s/%s", self, places[i]);
		if (!access(path, X_OK))
			return STATUS_OK;
	}
	return error_set(error, STATUS_NOT_FOUND,
		"lodge-vm is neither beside lodge nor in ../libexec/lodge; run make, or make install");
}

static void ignore_signals(void)
{
	static const int ignored[] = {
		SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE, SIGXFSZ};
	sigset_t none;

	for (unsigned i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void pass_on(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, 0);
}

/* Those of disks and network cards. */
static unsigned listed_descriptors(
	const struct machine_config *config, int fds[DISK_DESCRIPTORS_MAX + NETS_MAX])
{
	unsigned count = disk_files_descriptors(config, fds, DISK_DESCRIPTORS_MAX);

	return count + net_descriptors(config, fds + count, NETS_MAX);
}

/* In the child: never returns. What exec says goes up `report`, which a good one closes. */
_Noreturn static void become_runner(const char *path, const struct machine_config *config,
	int description, int report, pid_t front)
{
	char argument[16];
	char *arguments[] = {(char *)"lodge-vm", argument, NULL};
	char *environment[] = {NULL};
	const int passed[] = {description, config->ram_fd, config->kernel_fd, config->payload_fd,
		config->initrd_fd, config->gdb_fd, config->perf_fd};
	int listed[DISK_DESCRIPTORS_MAX + NETS_MAX], failure;
	unsigned listed_count = listed_descriptors(config, listed);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != front)
		_exit(LODGE_EXIT_FAILURE);
	ignore_signals();
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	for (unsigned i = 0; i < ARRAY_SIZE(passed); i++)
		pass_on(passed[i]);
	for (unsigned i = 0; i < listed_count; i++)
		pass_on(listed[i]);
	snprintf(argument, sizeof(argument), "%d", description);
	execve(path, arguments, environment);
	failure = errno;
	if (write(report, &failure, sizeof(failure)) < 0)
		_exit(LODGE_EXIT_FAILURE);
	_exit(LODGE_EXIT_FAILURE);
}

static void close_passed(struct machine_config *config, int description)
{
	int *const passed[] = {&config->ram_fd, &config->kernel_fd, &config->payload_fd,
		&config->initrd_fd, &config->gdb_fd, &config->perf_fd};
	int listed[DISK_DESCRIPTORS_MAX + NETS_MAX];
	unsigned listed_count = listed_descriptors(config, listed);

	close(description);
	for (unsigned i = 0; i < listed_count; i++)
		close(listed[i]);
	config->disk_fds[0] = config->net_fds[0] = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(passed); i++) {
		if (*passed[i] >= 0)
			close(*passed[i]);
		*passed[i] = -1;
	}
}

static enum status start(struct machine_config *config, int description, struct error *error)
{
	char path[PATH_MAX];
	pid_t front = getpid();
	int report[2], failure;
	enum status status = process_find_runner(path, sizeof(path), error);

	if (status != STATUS_OK)
		return status;
	if (pipe2(report, O_CLOEXEC))
		return error_set_errno(error, "lodge-vm");
	process.pid = fork();
	if (!process.pid)
		become_runner(path, config, description, report[1], front);
	close(report[1]);
	close_passed(config, description);
	perf_map_belongs_to(process.pid);
	if (process.pid < 0)
		status = error_set_errno(error, "lodge-vm");
	else if (read(report[0], &failure, sizeof(failure)) == sizeof(failure))
		status = error_set(
			error, STATUS_IO, "lodge-vm cannot be started: %s", strerror(failure));
	close(report[0]);
	if (status != STATUS_OK && process.pid > 0)
		waitpid(process.pid, NULL, 0);
	return status;
}

/* ---- watching ---- */

static void enter_phase(enum phase phase, time_t seconds)
{
	process.phase = phase;
	clock_gettime(CLOCK_MONOTONIC, &process.deadline);
	process.deadline.tv_sec += seconds;
}

/* A signal that asks for the end has come, or a phase's time is up: the next stronger means. */
static void press_on(void)
{
	switch (process.phase) {
	case PHASE_RUNNING:
		kill(process.pid, SIGUSR1);
		enter_phase(PHASE_BUTTON, POWER_BUTTON_SECONDS);
		break;
	case PHASE_BUTTON:
		kill(process.pid, SIGUSR2);
		kill(process.pid, SIGCONT);
		enter_phase(PHASE_STOP, STOP_SECONDS);
		break;
	case PHASE_STOP:
	case PHASE_KILL:
		kill(process.pid, SIGKILL);
		enter_phase(PHASE_KILL, STOP_SECONDS);
		break;
	}
}

/* Ctrl-Z's signal, if it comes from elsewhere, as it must: a raw terminal sends none. */
static void stop_both(void)
{
	terminal_restore();
	kill(process.pid, SIGSTOP);
	raise(SIGSTOP);
}

static struct timespec time_left(void)
{
	struct timespec now, left = {.tv_sec = 3600};

	if (process.phase == PHASE_RUNNING)
		return left;
	clock_gettime(CLOCK_MONOTONIC, &now);
	left.tv_sec = process.deadline.tv_sec - now.tv_sec;
	left.tv_nsec = process.deadline.tv_nsec - now.tv_nsec;
	if (left.tv_nsec < 0) {
		left.tv_sec--;
		left.tv_nsec += 1000000000;
	}
	return left.tv_sec < 0 ? (struct timespec){0} : left;
}

static void watched_signals(sigset_t *set)
{
	static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD, SIGTSTP, SIGCONT};

	sigemptyset(set);
	for (unsigned i = 0; i < ARRAY_SIZE(watched); i++)
		sigaddset(set, watched[i]);
}

static void watch(const sigset_t *set, bool wants_terminal)
{
	while (waitpid(process.pid, &process.wait_status, WNOHANG) != process.pid) {
		struct timespec left = time_left();
		int signal_number = sigtimedwait(set, NULL, &left);

		if (signal_number < 0 && errno == EAGAIN && process.phase != PHASE_RUNNING)
			press_on();
		else if (signal_number == SIGTSTP)
			stop_both();
		else if (signal_number == SIGCONT) {
			kill(process.pid, SIGCONT);
			if (wants_terminal)
				terminal_enter_raw();
		} else if (signal_number > 0 && signal_number != SIGCHLD)
			press_on();
	}
}

enum status process_run(struct machine_config *config, int description, struct error *error)
{
	bool wants_terminal = strcmp(config->console, "none") != 0;
	sigset_t set, before;
	enum status status;

	terminal_remember();
	watched_signals(&set);
	/* A parent that ignores them (nohup, a shell's background) must not keep us from seeing the runner's end. */
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &set, &before);
	if (wants_terminal) {
		atexit(terminal_restore);
		terminal_enter_raw();
	}
	status = start(config, description, error);
	if (status == STATUS_OK)
		watch(&set, wants_terminal);
	terminal_restore();
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status;
}

int process_exit_status(void)
{
	int status = process.wait_status;

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	if (process.phase == PHASE_KILL)
		return LODGE_EXIT_FAILURE;
	if (WTERMSIG(status) == SIGSYS)
		return message_fail(LODGE_EXIT_FAULT,
			"the machine's process was killed because it made a system call that is not on "
			"its list (the host kernel's log may have the number): a fault of lodge's own, "
			"or a guest that broke out: please report it");
	return message_fail(LODGE_EXIT_FAULT, "the machine's process was killed by signal %d (%s)",
		WTERMSIG(status), strsignal(WTERMSIG(status)));
}
