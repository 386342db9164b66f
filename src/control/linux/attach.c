/* SPDX-License-Identifier: MIT */
/* lodge console: this terminal becomes a detached machine's console, until Ctrl-A d or its end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/linux/control.h"
#include "control/linux/fleet.h"
#include "control/linux/message.h"
#include "control/linux/terminal.h"
#include "hosts/linux/runner.h"

#define CTRL_A 1
#define PIECE_BYTES 4096

static struct {
	int socket, signals;
	bool input_has_ended, escape_seen;
	bool is_done, has_ended; /* detached, or the machine has ended */
} attached;

/* False: the other side has gone. */
static bool send_all(const u8 *from, size_t bytes)
{
	while (bytes) {
		ssize_t sent = send(attached.socket, from, bytes, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			return false;
		if (sent > 0) {
			from += sent;
			bytes -= (size_t)sent;
		}
	}
	return true;
}

static bool write_all(const u8 *from, size_t bytes)
{
	while (bytes) {
		ssize_t written = write(STDOUT_FILENO, from, bytes);

		if (written < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		if (written > 0) {
			from += written;
			bytes -= (size_t)written;
		}
	}
	return true;
}

/*
 * Ctrl-A d is ours; every other escape is the runner's, which knows Ctrl-A x and Ctrl-A Ctrl-A as on lodge run's own terminal. A Ctrl-A goes out
 * with what follows it.
 */
static void type(const u8 *from, size_t bytes)
{
	u8 out[2 * PIECE_BYTES];
	size_t length = 0;

	for (size_t i = 0; i < bytes && !attached.is_done; i++) {
		if (!attached.escape_seen && from[i] == CTRL_A) {
			attached.escape_seen = true;
			continue;
		}
		attached.is_done = attached.escape_seen && from[i] == 'd';
		if (attached.is_done)
			break;
		if (attached.escape_seen)
			out[length++] = CTRL_A;
		attached.escape_seen = false;
		out[length++] = from[i];
	}
	if (!send_all(out, length))
		attached.is_done = true;
}

static void take_input(void)
{
	u8 piece[PIECE_BYTES];
	ssize_t got = read(STDIN_FILENO, piece, sizeof(piece));

	if (got > 0)
		type(piece, (size_t)got);
	else if (got == 0 || (errno != EINTR && errno != EAGAIN))
		attached.input_has_ended = true; /* which ends nothing, as with lodge run */
}

static void take_output(void)
{
	u8 piece[PIECE_BYTES];
	ssize_t got = recv(attached.socket, piece, sizeof(piece), 0);

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	attached.has_ended = got <= 0;
	if (attached.has_ended || !write_all(piece, (size_t)got))
		attached.is_done = true;
}

static void take_signal(void)
{
	struct signalfd_siginfo info;

	if (read(attached.signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCONT) {
		terminal_enter_raw();
	} else if (info.ssi_signo == SIGTSTP) {
		terminal_restore();
		raise(SIGSTOP);
	} else {
		attached.is_done = true;
	}
}

static void attach(void)
{
	while (!attached.is_done) {
		struct pollfd polled[] = {
			{.fd = attached.input_has_ended ? -1 : STDIN_FILENO, .events = POLLIN},
			{.fd = attached.socket, .events = POLLIN},
			{.fd = attached.signals, .events = POLLIN},
		};

		if (poll(polled, ARRAY_SIZE(polled), -1) < 0)
			continue;
		if (polled[2].revents)
			take_signal();
		if (polled[1].revents)
			take_output();
		if (polled[0].revents && !attached.is_done)
			take_input();
	}
}

/* Signals detach: the machine is another's. */
static enum status open_signals(struct error *error)
{
	static const int taken[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT};
	sigset_t set;

	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_SIZE(taken); i++)
		sigaddset(&set, taken[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	attached.signals = signalfd(-1, &set, SFD_CLOEXEC);
	return attached.signals < 0 ? error_set_errno(error, "signals") : STATUS_OK;
}

static enum status open_console(const struct registered *registered, struct error *error)
{
	const struct machine_config *config = &registered->config;

	if (!registered->is_running)
		return error_set(error, STATUS_NOT_FOUND,
			"the machine '%s' has ended; lodge logs %s shows what it wrote",
			config->name, config->name);
	if (!config->detach)
		return error_set(error, STATUS_BUSY,
			"'%s' has its console on the terminal that it was started on",
			config->name);
	if (!strcmp(config->console, "none"))
		return error_set(error, STATUS_NOT_FOUND, "'%s' has no console (--console none)",
			config->name);
	attached.socket = control_connect(registered->folder, "console");
	if (attached.socket < 0)
		return error_set_errno(error, config->name);
	/* Who types waits for the guest. */
	return fcntl(attached.socket, F_SETFL, 0) ? error_set_errno(error, config->name)
						  : STATUS_OK;
}

int command_console(int argc, char **argv)
{
	static struct registered registered;
	struct options options;
	struct error error;
	enum status status = options_read("console", NULL, argc, argv, 1, 1, &options, &error);

	if (status == STATUS_OK)
		status = registry_find(options.names[0], &registered, &error);
	if (status == STATUS_OK)
		status = open_console(&registered, &error);
	if (status == STATUS_OK)
		status = open_signals(&error);
	if (status != STATUS_OK)
		return message_fail_status(status, &error);
	terminal_remember();
	atexit(terminal_restore);
	terminal_enter_raw();
	/* Whoever reads this may type. */
	if (isatty(STDIN_FILENO))
		message_fail(0, "the console of '%s': Ctrl-A d detaches", registered.config.name);
	/* A raw terminal's line feed does not go back to the first column. */
	if (isatty(STDIN_FILENO) && write(STDERR_FILENO, "\r", 1) < 0)
		errno = 0;
	attach();
	terminal_restore();
	if (isatty(STDIN_FILENO))
		message_fail(0, "%s '%s'", attached.has_ended ? "the end of" : "detached from",
			registered.config.name);
	return LODGE_EXIT_OK;
}
