/* SPDX-License-Identifier: MIT */
/* Unix sockets in a machine's folder, from both sides; and the asking side of control.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/linux/control.h"

/* A socket's path has at most 107 letters, the folder's may have more. */
static struct sockaddr_un address_of(int folder, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", folder, name);
	return address;
}

static int open_socket(int folder, const char *name,
	int (*reach)(int fd, const struct sockaddr *address, socklen_t bytes))
{
	struct sockaddr_un address = address_of(folder, name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && reach(fd, (const struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

int control_listen(int folder, const char *name)
{
	int fd = open_socket(folder, name, bind);

	if (fd >= 0 && listen(fd, 64)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A full queue of connections (EAGAIN) is a front that is busy just now, or stopped. */
int control_connect(int folder, const char *name)
{
	int fd;

	for (unsigned i = 0; i < 200; i++) {
		fd = open_socket(folder, name, connect);
		if (fd >= 0 || errno != EAGAIN)
			break;
		usleep(10000);
	}
	return fd;
}

int control_peer(int folder)
{
	struct ucred peer = {0};
	socklen_t bytes = sizeof(peer);
	int fd = control_connect(folder, "control");

	if (fd < 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes))
		peer.pid = 0;
	close(fd);
	return peer.pid;
}

/* Up to the line's end, which is taken away. */
static enum status read_answer(int fd, u64 deadline_ns, char answer[CONTROL_LINE_BYTES])
{
	size_t length = 0;

	for (;;) {
		struct pollfd polled = {.fd = fd, .events = POLLIN};
		u64 now = loop_now_ns();
		ssize_t got;

		if (now >= deadline_ns)
			return STATUS_BUSY;
		if (poll(&polled, 1, (int)MIN((deadline_ns - now) / 1000000 + 1, 1000)) < 1)
			continue;
		got = read(fd, answer + length, CONTROL_LINE_BYTES - 1 - length);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0)
			return STATUS_END;
		length += (size_t)got;
		answer[length] = 0;
		if (answer[length - 1] == '\n') {
			answer[length - 1] = 0;
			return STATUS_OK;
		}
	}
}

enum status control_ask(
	int folder, const char *line, u64 patience_ms, char answer[CONTROL_LINE_BYTES])
{
	u64 deadline = loop_now_ns() + patience_ms * 1000000;
	size_t length = strlen(line);
	int fd = control_connect(folder, "control");
	enum status status = STATUS_END;

	if (fd < 0)
		return errno == EAGAIN ? STATUS_BUSY : STATUS_NOT_FOUND;
	if (send(fd, line, length, MSG_NOSIGNAL) == (ssize_t)length)
		status = read_answer(fd, deadline, answer);
	close(fd);
	return status;
}
