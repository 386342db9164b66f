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
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
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

#define STOP_MS 3000

/* How far the runner's end has been asked for. */
enum phase { PHASE_RUNNING, PHASE_BUTTON, PHASE_STOP, PHASE_KILL };

static struct {
	pid_t pid;
	bool has_ended, is_held, wants_terminal;
	int wait_status;
	struct rusage usage; /* once it has ended */
	int ram;	     /* guest memory: how much of it there is, fstat says */
	enum phase phase;
	u64 deadline_ns; /* of the phase, past PHASE_RUNNING */
	int signals;
	sigset_t before;
} process = {.ram = -1, .signals = -1};

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
	sigset_t own;

	for (unsigned i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	/* What the front may send before the runner listens waits. */
	sigemptyset(&own);
	sigaddset(&own, SIGUSR1);
	sigaddset(&own, SIGUSR2);
	sigprocmask(SIG_SETMASK, &own, NULL);
}

/* One of the description's descriptors, by its place in the list of fields; NULL: that field is none. */
static i32 *descriptor_of(const struct machine_config *config, unsigned field)
{
	if (config_fields[field].kind != CONFIG_DESCRIPTOR)
		return NULL;
	return (i32 *)((char *)config + config_fields[field].offset);
}

/* Those of disks and network cards. */
static unsigned listed_descriptors(
	const struct machine_config *config, int fds[DISK_DESCRIPTORS_MAX + NETS_MAX])
{
	unsigned count = disk_files_descriptors(config, fds, DISK_DESCRIPTORS_MAX);

	return count + net_descriptors(config, fds + count, NETS_MAX);
}

/* In the child. */
_Noreturn static void fail_exec(int report, int failure)
{
	if (write(report, &failure, sizeof(failure)) < 0)
		_exit(LODGE_EXIT_FAILURE);
	_exit(LODGE_EXIT_FAILURE);
}

/* In the child: never returns. What exec says goes up `report`, which a good one closes. */
_Noreturn static void become_runner(const char *path, const struct machine_config *config,
	int description, const int stdio[3], int report, pid_t front)
{
	char argument[16];
	char *arguments[] = {(char *)"lodge-vm", argument, NULL};
	char *environment[] = {NULL};
	int listed[DISK_DESCRIPTORS_MAX + NETS_MAX];
	unsigned listed_count = listed_descriptors(config, listed);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != front)
		_exit(LODGE_EXIT_FAILURE);
	ignore_signals();
	for (int fd = 0; fd < 3; fd++) {
		if (stdio[fd] != fd)
			dup2(stdio[fd], fd);
	}
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	fcntl(description, F_SETFD, 0);
	for (unsigned i = 0; i < config_field_count; i++) {
		if (descriptor_of(config, i) && *descriptor_of(config, i) >= 0)
			fcntl(*descriptor_of(config, i), F_SETFD, 0);
	}
	for (unsigned i = 0; i < listed_count; i++)
		fcntl(listed[i], F_SETFD, 0);
	snprintf(argument, sizeof(argument), "%d", description);
	execve(path, arguments, environment);
	fail_exec(report, errno);
}

static void close_passed(struct machine_config *config, int description)
{
	int listed[DISK_DESCRIPTORS_MAX + NETS_MAX];
	unsigned listed_count = listed_descriptors(config, listed);

	close(description);
	for (unsigned i = 0; i < listed_count; i++)
		close(listed[i]);
	config->disk_fds[0] = config->net_fds[0] = 0;
	for (unsigned i = 0; i < config_field_count; i++) {
		i32 *fd = descriptor_of(config, i);

		if (fd && *fd >= 0)
			close(*fd);
		if (fd)
			*fd = -1;
	}
}

/* Zero, or what the runner's exec failed with. */
static int wait_for_exec(int report)
{
	int failure;
	ssize_t got;

	do
		got = read(report, &failure, sizeof(failure));
	while (got < 0 && errno == EINTR);
	return got == sizeof(failure) ? failure : 0;
}

enum status process_start(struct machine_config *config, int description, const int stdio[3],
	int (*in_child)(void), struct error *error)
{
	char path[PATH_MAX];
	pid_t front = getpid();
	int report[2], failure;
	enum status status = process_find_runner(path, sizeof(path), error);

	if (status != STATUS_OK)
		return status;
	if (pipe2(report, O_CLOEXEC))
		return error_set_errno(error, "lodge-vm");
	process.ram = fcntl(config->ram_fd, F_DUPFD_CLOEXEC, 3);
	process.pid = fork();
	if (!process.pid) {
		failure = in_child ? in_child() : 0;
		if (failure)
			fail_exec(report[1], failure);
		become_runner(path, config, description, stdio, report[1], front);
	}
	close(report[1]);
	close_passed(config, description);
	perf_map_belongs_to(process.pid);
	if (process.pid < 0)
		status = error_set_errno(error, "lodge-vm");
	else if ((failure = wait_for_exec(report[0])))
		status = error_set(
			error, STATUS_IO, "lodge-vm cannot be started: %s", strerror(failure));
	close(report[0]);
	if (status != STATUS_OK && process.pid > 0)
		waitpid(process.pid, NULL, 0);
	if (status != STATUS_OK)
		process.pid = 0;
	return status;
}

/* ---- asking for the end ---- */

static void enter_phase(enum phase phase, u64 ms)
{
	process.phase = phase;
	process.deadline_ns = loop_now_ns() + ms * 1000000;
}

void process_press_button(u64 patience_ms)
{
	u64 deadline = loop_now_ns() + patience_ms * 1000000;

	if (process.has_ended)
		return;
	if (process.phase == PHASE_RUNNING) {
		kill(process.pid, SIGUSR1);
		enter_phase(PHASE_BUTTON, patience_ms);
	} else if (process.phase == PHASE_BUTTON)
		process.deadline_ns = MIN(process.deadline_ns, deadline);
}

void process_kill(void)
{
	if (process.has_ended)
		return;
	kill(process.pid, SIGKILL);
	enter_phase(PHASE_KILL, STOP_MS);
}

/* A signal that asks for the end has come, or a phase's time is up: the next stronger means. */
static void press_on(void)
{
	switch (process.phase) {
	case PHASE_RUNNING:
		process_press_button(PROCESS_BUTTON_MS);
		break;
	case PHASE_BUTTON:
		kill(process.pid, SIGUSR2);
		kill(process.pid, SIGCONT);
		enter_phase(PHASE_STOP, STOP_MS);
		break;
	case PHASE_STOP:
	case PHASE_KILL:
		process_kill();
		break;
	}
}

void process_hold(bool is_held)
{
	if (process.has_ended || process.is_held == is_held)
		return;
	process.is_held = is_held;
	kill(process.pid, is_held ? SIGSTOP : SIGCONT);
}

/* ---- watching ---- */

enum status process_watch_signals(bool wants_terminal, struct error *error)
{
	static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD, SIGTSTP, SIGCONT};
	sigset_t set;

	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_SIZE(watched); i++)
		sigaddset(&set, watched[i]);
	process.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (process.signals < 0)
		return error_set_errno(error, "signals");
	/* A parent that ignores them (nohup, a shell's background) must not keep us from seeing the runner's end. */
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &set, &process.before);
	process.wants_terminal = wants_terminal;
	if (wants_terminal)
		terminal_enter_raw();
	return STATUS_OK;
}

void process_restore(void)
{
	if (process.wants_terminal)
		terminal_restore();
	if (process.signals >= 0) {
		close(process.signals);
		sigprocmask(SIG_SETMASK, &process.before, NULL);
	}
	process.signals = -1;
}

/* Ctrl-Z's signal, if it comes from elsewhere, as it must: a raw terminal sends none. */
static void stop_both(void)
{
	if (process.wants_terminal)
		terminal_restore();
	kill(process.pid, SIGSTOP);
	raise(SIGSTOP);
}

static void continue_both(void)
{
	if (!process.is_held)
		kill(process.pid, SIGCONT);
	if (process.wants_terminal)
		terminal_enter_raw();
}

static void take_signals(void *context, short events)
{
	struct signalfd_siginfo info;

	while (read(process.signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTSTP)
			stop_both();
		else if (info.ssi_signo == SIGCONT)
			continue_both();
		else if (info.ssi_signo != SIGCHLD && !process_has_ended())
			press_on();
	}
}

bool process_has_ended(void)
{
	if (!process.has_ended)
		process.has_ended = wait4(process.pid, &process.wait_status, WNOHANG,
					    &process.usage) == process.pid;
	return process.has_ended;
}

void process_prepare(struct loop *loop)
{
	if (process.phase != PHASE_RUNNING && loop_now_ns() >= process.deadline_ns)
		press_on();
	if (process.phase != PHASE_RUNNING)
		loop_wake_at(loop, process.deadline_ns);
	loop_add(loop, process.signals, POLLIN, take_signals, NULL);
}

/* ---- figures ---- */

u32 process_pid(void)
{
	return (u32)process.pid;
}

u64 process_cpu_ns(void)
{
	const struct timeval *user = &process.usage.ru_utime, *system = &process.usage.ru_stime;
	struct timespec used = {0};
	clockid_t clock;

	if (process.has_ended)
		return (u64)(user->tv_sec + system->tv_sec) * 1000000000 +
			(u64)(user->tv_usec + system->tv_usec) * 1000;
	if (!clock_getcpuclockid(process.pid, &clock))
		clock_gettime(clock, &used);
	return (u64)used.tv_sec * 1000000000 + (u64)used.tv_nsec;
}

u64 process_memory_bytes(void)
{
	struct stat info;

	return process.ram >= 0 && !fstat(process.ram, &info) ? (u64)info.st_blocks * 512 : 0;
}

/* ---- how it ended ---- */

bool process_was_forced(void)
{
	return process.phase == PHASE_STOP || process.phase == PHASE_KILL;
}

bool process_was_killed(void)
{
	return process.has_ended && WIFSIGNALED(process.wait_status);
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
