/* SPDX-License-Identifier: MIT */
#include "control/linux/gdb_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/linux/message.h"

static bool made_path;

static bool is_port(const char *where, u16 *port)
{
	char *end;
	unsigned long value = strtoul(where, &end, 10);

	if (*where < '0' || *where > '9' || *end || !value || value > 65535)
		return false;
	*port = (u16)value;
	return true;
}

static int open_port(u16 port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int open_path(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat info;
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	if (!lstat(path, &info) && S_ISSOCK(info.st_mode))
		unlink(path); /* left by one that was killed */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	made_path = fd >= 0;
	return fd;
}

enum status gdb_socket_open(const char *where, int *fd, struct error *error)
{
	u16 port;
	int made = is_port(where, &port) ? open_port(port) : open_path(where);

	if (made >= 0 && listen(made, 1)) {
		close(made);
		made = -1;
	}
	if (made < 0)
		return error_set(error, STATUS_IO, "--gdb %.100s: %s", where, strerror(errno));
	*fd = made;
	return STATUS_OK;
}

void gdb_socket_close(const char *where)
{
	if (made_path)
		unlink(where);
	made_path = false;
}
