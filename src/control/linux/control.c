/* SPDX-License-Identifier: MIT */
#include "control/linux/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/linux/message.h"
#include "control/linux/process.h"

#define CLIENTS_MAX 24

struct client {
	int fd; /* -1: a free place */
	char line[CONTROL_LINE_BYTES];
	size_t length;
	bool waits; /* for the machine's end */
};

static int listener = -1;
static struct client clients[CLIENTS_MAX];

static void drop(struct client *client)
{
	close(client->fd);
	client->fd = -1;
}

/* A new connection takes all that fits a socket's buffer, so this never waits. */
static void answer(struct client *client, const char *line)
{
	if (send(client->fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		errno = 0; /* it has gone: nobody is left to be told */
	drop(client);
}

static void answer_stats(struct client *client)
{
	char line[CONTROL_LINE_BYTES];

	snprintf(line, sizeof(line), "%llu %llu\n", (unsigned long long)process_cpu_ns(),
		(unsigned long long)process_memory_bytes());
	answer(client, line);
}

static void do_line(struct client *client)
{
	unsigned long long patience;

	client->waits = true;
	if (!strcmp(client->line, "stats\n"))
		answer_stats(client);
	else if (!strcmp(client->line, "kill\n"))
		process_kill();
	else if (sscanf(client->line, "stop %9llu\n", &patience) == 1)
		process_press_button(patience);
	else
		answer(client, "what?\n");
}

static void receive(void *context, short events)
{
	struct client *client = context;
	size_t room = sizeof(client->line) - 1 - client->length;
	ssize_t got = recv(client->fd, client->line + client->length, room, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0 || client->waits) {
		drop(client);
		return;
	}
	client->length += (size_t)got;
	client->line[client->length] = 0;
	if (client->line[client->length - 1] == '\n')
		do_line(client);
	else if (client->length == sizeof(client->line) - 1)
		drop(client);
}

static struct client *find_free(void)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (clients[i].fd < 0)
			return &clients[i];
	}
	return NULL;
}

static void take_client(void *context, short events)
{
	struct client *client = find_free();
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		*client = (struct client){.fd = fd};
}

enum status control_open(const struct claim *claim, struct error *error)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		clients[i].fd = -1;
	if (claim->folder < 0)
		return STATUS_OK;
	listener = control_listen(claim->folder, "control");
	return listener < 0 ? error_set_errno(error, "control socket") : STATUS_OK;
}

void control_prepare(struct loop *loop)
{
	if (find_free())
		loop_add(loop, listener, POLLIN, take_client, NULL);
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		loop_add(loop, clients[i].fd, POLLIN, receive, &clients[i]);
}

void control_close(int exit_status)
{
	char line[CONTROL_LINE_BYTES];

	snprintf(line, sizeof(line), "ended %d %d\n", exit_status, process_was_forced());
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (clients[i].fd >= 0)
			answer(&clients[i], line);
	}
	if (listener >= 0)
		close(listener);
	listener = -1;
}
