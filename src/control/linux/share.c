/* SPDX-License-Identifier: MIT */
#include "control/linux/share.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/linux/message.h"

#define START_PATIENCE_MS 10000

/* QEMU's, where Debian's qemu-system-common has it. */
static const char daemon_path[] = "/usr/lib/qemu/virtiofsd";

static enum status fail(const char *why, struct error *error)
{
	return error_set(error, STATUS_IO, "--share: %.200s", why);
}

static enum status check_folder(const char *folder, struct error *error)
{
	struct stat info;

	if (stat(folder, &info))
		return error_set(error, STATUS_IO, "--share %.150s: %s", folder, strerror(errno));
	if (!S_ISDIR(info.st_mode))
		return error_set(error, STATUS_IO, "--share %.150s: not a folder", folder);
	return STATUS_OK;
}

static enum status check_daemon(struct error *error)
{
	if (geteuid())
		return error_set(error, STATUS_UNSUPPORTED,
			"--share: virtiofsd, which serves the folder, runs as root only (sudo lodge run ...)");
	if (access(daemon_path, X_OK))
		return error_set(error, STATUS_UNSUPPORTED,
			"--share: virtiofsd is not installed (apt-get install qemu-system-common)");
	return STATUS_OK;
}

/* ---- its socket ---- */

/* It wants to be connected to: a socket with a name, for the moment. */
struct meeting {
	char folder[32];
	struct sockaddr_un address;
	int listener;
};

static bool meeting_open(struct meeting *meeting)
{
	snprintf(meeting->folder, sizeof(meeting->folder), "/tmp/lodge-share-XXXXXX");
	meeting->listener = -1;
	if (!mkdtemp(meeting->folder)) {
		meeting->folder[0] = 0;
		return false;
	}
	meeting->address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(meeting->address.sun_path, sizeof(meeting->address.sun_path), "%s/socket",
		meeting->folder);
	meeting->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return meeting->listener >= 0 &&
		!bind(meeting->listener, (struct sockaddr *)&meeting->address,
			sizeof(meeting->address)) &&
		!listen(meeting->listener, 1);
}

static int meeting_connect(const struct meeting *meeting)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 &&
		connect(fd, (const struct sockaddr *)&meeting->address, sizeof(meeting->address))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void meeting_close(struct meeting *meeting)
{
	if (meeting->listener >= 0)
		close(meeting->listener);
	if (!meeting->folder[0])
		return;
	unlink(meeting->address.sun_path);
	rmdir(meeting->folder);
}

/* ---- the process ---- */

/* `source=` and the folder, as -o takes it: a comma would begin another option. False: no memory. */
static bool make_option(const char *folder, char **option)
{
	char *whole = realpath(folder, NULL), *to;

	*option = whole ? malloc(2 * strlen(whole) + sizeof("source=")) : NULL;
	if (!*option)
		return false;
	to = stpcpy(*option, "source=");
	for (const char *from = whole; *from; from++) {
		if (*from == ',' || *from == '\\')
			*to++ = '\\';
		*to++ = *from;
	}
	*to = 0;
	return true;
}

/* In the child. What it says goes to `said`; a session of its own keeps the terminal's signals away. */
_Noreturn static void become_daemon(const char *folder, int listener, int said)
{
	static char *const no_environment[] = {NULL};
	char fd[32], *source = NULL;

	snprintf(fd, sizeof(fd), "--fd=%d", listener);
	if (!make_option(folder, &source))
		_exit(126);
	setsid();
	signal(SIGPIPE, SIG_DFL);
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	fcntl(listener, F_SETFD, 0);
	dup2(open("/dev/null", O_RDWR), STDIN_FILENO);
	dup2(said, STDOUT_FILENO);
	dup2(said, STDERR_FILENO);
	execle(daemon_path, daemon_path, fd, "-o", source, "-o", "log_level=err", NULL,
		no_environment);
	_exit(127);
}

/* The last line that it has said, in place of `otherwise`. */
static void last_line(int said, const char *otherwise, char *line, size_t capacity)
{
	char all[4096], *one, *next = all;
	ssize_t got = pread(said, all, sizeof(all) - 1, 0);

	snprintf(line, capacity, "%s", otherwise);
	all[MAX(got, 0)] = 0;
	while ((one = strsep(&next, "\n"))) {
		if (*one)
			snprintf(line, capacity, "virtiofsd: %s", one);
	}
}

/* It is there once it answers: a question that changes nothing, which features it has (vhost-user, GET_FEATURES). */
static bool answers(int fd)
{
	static const u32 question[3] = {1, 1, 0};
	u32 answer[5];
	struct pollfd polled = {.fd = fd, .events = POLLIN};

	return send(fd, question, sizeof(question), MSG_NOSIGNAL) == sizeof(question) &&
		poll(&polled, 1, START_PATIENCE_MS) == 1 &&
		recv(fd, answer, sizeof(answer), MSG_WAITALL) == sizeof(answer);
}

static enum status start(const char *folder, struct meeting *meeting, int *fd, struct error *error)
{
	int said = memfd_create("virtiofsd's words", MFD_CLOEXEC);
	char line[200];
	pid_t pid = said < 0 ? -1 : fork();

	if (!pid)
		become_daemon(folder, meeting->listener, said);
	*fd = pid < 0 ? -1 : meeting_connect(meeting);
	if (*fd < 0)
		return fail(strerror(errno), error);
	/* Ours would keep a connection waiting that it will never take. */
	close(meeting->listener);
	meeting->listener = -1;
	if (answers(*fd)) {
		close(said);
		return STATUS_OK;
	}
	last_line(said, "virtiofsd does not start", line, sizeof(line));
	close(said);
	kill(pid, SIGKILL);
	return fail(line, error);
}

enum status share_start(struct machine_config *config, struct error *error)
{
	struct meeting meeting;
	enum status status;
	int fd = -1;

	if (!config->share[0])
		return STATUS_OK;
	status = check_folder(config->share, error);
	if (status == STATUS_OK)
		status = check_daemon(error);
	if (status != STATUS_OK)
		return status;
	status = meeting_open(&meeting) ? start(config->share, &meeting, &fd, error)
					: fail(strerror(errno), error);
	meeting_close(&meeting);
	if (status == STATUS_OK)
		config->share_fd = fd;
	return status;
}
