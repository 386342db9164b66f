/* SPDX-License-Identifier: MIT */
#include "control/linux/net_start.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/linux/message.h"
#include "control/net.h"

#define PASST_WORDS_MAX (8 + 2 * NET_PUBLISHED_MAX)

/* ---- user: passt ---- */

/* In the child: passt goes to the background once its ports are there, and ends with the socket. */
_Noreturn static void become_passt(const struct net_option *net, int socket, int report)
{
	char fd[16], ports[NET_PUBLISHED_MAX][40];
	const char *words[PASST_WORDS_MAX] = {"passt", "-q", "-F", fd};
	unsigned count = 4;

	snprintf(fd, sizeof(fd), "%d", socket);
	for (unsigned i = 0; i < net->published_count; i++) {
		snprintf(ports[i], sizeof(ports[i]), "127.0.0.1/%u:%u", net->published[i].host,
			net->published[i].guest);
		words[count++] = "-t";
		words[count++] = ports[i];
	}
	fcntl(socket, F_SETFD, 0);
	dup2(report, STDERR_FILENO);
	dup2(report, STDOUT_FILENO);
	execvp(words[0], (char *const *)words);
	_exit(errno == ENOENT ? 127 : 126);
}

/* The last line that says what is wrong, if any. */
static void read_reason(int report, char *reason, size_t capacity)
{
	char all[2048], *line, *next = all;
	size_t length = 0;
	ssize_t got;

	while (length < sizeof(all) - 1 &&
		(got = read(report, all + length, sizeof(all) - 1 - length)) > 0)
		length += (size_t)got;
	all[length] = 0;
	*reason = 0;
	while ((line = strsep(&next, "\n"))) {
		if (*line && !strstr(line, "syslog") && !strstr(line, "as root"))
			snprintf(reason, capacity, "%s", line);
	}
}

static enum status explain(
	const struct net_option *net, int status, const char *reason, struct error *error)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return error_set(error, STATUS_UNSUPPORTED,
			"--net user: passt is not installed (apt-get install passt)");
	if (net->published_count)
		return error_set(error, STATUS_IO,
			"--net user: passt could not start (is a published port taken?): %.150s",
			reason);
	return error_set(error, STATUS_IO, "--net user: passt could not start: %.180s", reason);
}

static enum status start_passt(const struct net_option *net, int socket, struct error *error)
{
	char reason[200];
	int report[2], status = 0;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC))
		return error_set_errno(error, "--net user");
	pid = fork();
	if (!pid)
		become_passt(net, socket, report[1]);
	close(report[1]);
	if (pid > 0) {
		/* What goes to the background closes its end of the pipe. */
		read_reason(report[0], reason, sizeof(reason));
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(report[0]);
	if (pid < 0)
		return error_set_errno(error, "--net user");
	return status ? explain(net, status, reason, error) : STATUS_OK;
}

static enum status open_user(const struct net_option *net, int *fd, struct error *error)
{
	/* As much as the host allows: passt drops what does not go in. */
	int pair[2], bytes = 4 << 20;
	enum status status;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return error_set_errno(error, "--net user");
	(void)!setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	status = start_passt(net, pair[1], error);
	close(pair[1]);
	if (status != STATUS_OK)
		close(pair[0]);
	*fd = pair[0];
	return status;
}

/* ---- tap ---- */

static enum status open_tap(const struct net_option *net, int *fd, struct error *error)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

	memcpy(request.ifr_name, net->target, sizeof(request.ifr_name) - 1);
	*fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (*fd < 0)
		return error_set(error, STATUS_IO, "--net tap=%s: /dev/net/tun: %s", net->target,
			strerror(errno));
	if (!ioctl(*fd, TUNSETIFF, &request))
		return STATUS_OK;
	error_set(error, STATUS_IO, "--net tap=%s: %s%s", net->target, strerror(errno),
		errno == EPERM ? " (ip tuntap add mode tap user YOU name IFNAME, as root)" : "");
	close(*fd);
	return STATUS_IO;
}

/* ---- all of them ---- */

static enum status add_descriptor(struct machine_config *config, const struct net_option *net,
	unsigned index, int fd, struct error *error)
{
	char text[100];
	u8 mac[NET_MAC_BYTES];

	net_mac_of(config->name, index, mac);
	if (net->has_mac)
		memcpy(mac, net->mac, sizeof(mac));
	snprintf(text, sizeof(text), "%s=%d,mac=%02x:%02x:%02x:%02x:%02x:%02x",
		net->kind == NET_KIND_TAP ? "tap" : "socket", fd, mac[0], mac[1], mac[2], mac[3],
		mac[4], mac[5]);
	return config_set(config, config_field_find("net_fds", CONFIG_RUNNER), text, error);
}

static enum status start_one(struct machine_config *config, const struct net_option *net,
	unsigned index, struct error *error)
{
	enum status status;
	int fd = -1;

	if (net->kind == NET_KIND_NONE)
		return STATUS_OK;
	if (net->kind == NET_KIND_SWITCH)
		return error_set(error, STATUS_UNSUPPORTED,
			"--net switch: only lodge-metal has a switch; there are user, tap=IFNAME and none");
	if (net->kind == NET_KIND_SOCKET)
		return error_set(error, STATUS_INVALID,
			"--net socket: no such network; there are user, tap=IFNAME and none");
	status = net->kind == NET_KIND_TAP ? open_tap(net, &fd, error) : open_user(net, &fd, error);
	return status == STATUS_OK ? add_descriptor(config, net, index, fd, error) : status;
}

enum status net_start(struct machine_config *config, struct error *error)
{
	char text[NET_TEXT_BYTES_MAX];
	const char *at = config->net;
	enum status status = STATUS_OK;
	struct net_option net;

	for (unsigned i = 0; status == STATUS_OK && config_list_next(&at, text, sizeof(text));
		i++) {
		status = net_option_parse(text, &net, error);
		if (status == STATUS_OK)
			status = start_one(config, &net, i, error);
	}
	return status;
}

unsigned net_descriptors(const struct machine_config *config, int *fds, unsigned capacity)
{
	char text[NET_TEXT_BYTES_MAX];
	const char *at = config->net_fds;
	unsigned count = 0;
	struct net_option net;

	while (count < capacity && config_list_next(&at, text, sizeof(text))) {
		if (net_option_parse(text, &net, NULL) == STATUS_OK)
			fds[count++] = atoi(net.target);
	}
	return count;
}
