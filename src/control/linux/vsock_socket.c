/* SPDX-License-Identifier: MIT */
#include "control/linux/vsock_socket.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hosts/linux/runner.h"

#define BACKLOG 64

static struct {
	int listener, runner;
	char path[sizeof(((struct machine_config *)0)->vsock)]; /* empty: not made here */
} all = {-1, -1, ""};

/* ---- connecting ---- */

/* -1: nobody is there, or he takes nobody just now. */
static int reach(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* fd below 0: without one. False: the runner has no room for it. */
static bool hand_over(const struct runner_vsock_message *message, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {{0}};
	struct iovec part = {(void *)message, sizeof(*message)};
	struct msghdr envelope = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd >= 0) {
		envelope.msg_control = &control;
		envelope.msg_controllen = sizeof(control);
		control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int))};
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	return sendmsg(all.runner, &envelope, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static bool has_room(void)
{
	struct pollfd polled = {.fd = all.runner, .events = POLLOUT};

	return poll(&polled, 1, 0) == 1 && polled.revents & POLLOUT;
}

/* ---- the loop's ---- */

/* The runner wants a port; one at a time, so that others have their turn. */
static void take_request(void *context, short events)
{
	struct runner_vsock_message message;
	char path[sizeof(all.path) + 16];
	ssize_t got = recv(all.runner, &message, sizeof(message), MSG_DONTWAIT);
	int fd;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) { /* the runner has ended */
		close(all.runner);
		all.runner = -1;
		return;
	}
	if (got != sizeof(message) || !message.request)
		return;
	snprintf(path, sizeof(path), "%s_%u", all.path, message.port);
	fd = reach(path);
	if (!hand_over(&message, fd) && fd >= 0)
		hand_over(&message, -1);
	if (fd >= 0)
		close(fd);
}

static void take_client(void *context, short events)
{
	static const struct runner_vsock_message offer;
	int fd = accept4(all.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	hand_over(&offer, fd);
	close(fd);
}

static void look_again(void *context, short events) {}

void vsock_socket_prepare(struct loop *loop)
{
	/* A runner that does not take its answers is not listened to. */
	bool takes = all.runner >= 0 && has_room();

	loop_add(loop, all.runner, takes ? POLLIN : POLLOUT, takes ? take_request : look_again,
		NULL);
	loop_add(loop, takes ? all.listener : -1, POLLIN, take_client, NULL);
}

/* ---- life ---- */

static enum status fail(const char *path, struct error *error)
{
	return error_set(error, STATUS_IO, "--vsock %.100s: %s", path, strerror(errno));
}

/* What one that was killed has left is taken away, never what is used. */
static enum status make_way(const char *path, struct error *error)
{
	struct stat info;
	int fd;

	if (lstat(path, &info) || !S_ISSOCK(info.st_mode))
		return STATUS_OK;
	fd = reach(path);
	if (fd < 0 && errno == ECONNREFUSED) {
		unlink(path);
		return STATUS_OK;
	}
	if (fd >= 0)
		close(fd);
	return error_set(error, STATUS_BUSY, "--vsock %.100s: in use by another machine", path);
}

static enum status listen_at(const char *path, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	all.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (all.listener < 0 || bind(all.listener, (struct sockaddr *)&address, sizeof(address)))
		return fail(path, error);
	snprintf(all.path, sizeof(all.path), "%s", path);
	return listen(all.listener, BACKLOG) ? fail(path, error) : STATUS_OK;
}

enum status vsock_socket_open(struct machine_config *config, struct error *error)
{
	enum status status;
	int pair[2];

	if (!config->vsock[0])
		return STATUS_OK;
	status = make_way(config->vsock, error);
	if (status == STATUS_OK)
		status = listen_at(config->vsock, error);
	if (status != STATUS_OK)
		return status;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return fail(config->vsock, error);
	all.runner = pair[0];
	config->vsock_fd = pair[1];
	return STATUS_OK;
}

void vsock_socket_close(void)
{
	if (all.path[0])
		unlink(all.path);
	all.path[0] = 0;
}
