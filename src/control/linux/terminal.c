/* SPDX-License-Identifier: MIT */
#include "control/linux/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

static struct {
	bool is_terminal, is_raw;
	struct termios before;
	int flags[3];
} terminal;

void terminal_remember(void)
{
	terminal.is_terminal = !tcgetattr(STDIN_FILENO, &terminal.before);
	for (int fd = 0; fd < 3; fd++)
		terminal.flags[fd] = fcntl(fd, F_GETFL);
}

/* In the background of its own terminal a process must leave it alone; another's terminal has no such rule. */
static bool is_in_background(void)
{
	pid_t foreground = tcgetpgrp(STDIN_FILENO);
	return foreground >= 0 && foreground != getpgrp();
}

void terminal_enter_raw(void)
{
	struct termios raw;

	if (!terminal.is_terminal || is_in_background())
		return;
	raw = terminal.before;
	cfmakeraw(&raw);
	terminal.is_raw = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

/* With SIGTTOU blocked, a process in the background may set the terminal, too. */
static void set_before(void)
{
	sigset_t ttou, old;

	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	sigprocmask(SIG_BLOCK, &ttou, &old);
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

void terminal_restore(void)
{
	if (terminal.is_raw) {
		set_before();
		terminal.is_raw = false;
	}
	for (int fd = 0; fd < 3; fd++) {
		if (terminal.flags[fd] >= 0)
			fcntl(fd, F_SETFL, terminal.flags[fd]);
	}
}
