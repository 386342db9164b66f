/* SPDX-License-Identifier: MIT */
#include "control/linux/console_hub.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "control/linux/control.h"
#include "control/linux/message.h"

#define CLIENTS_MAX 8
#define CLIENT_BYTES 65536
#define PIECE_BYTES 8192
#define MESSAGES_BYTES (256 << 10)
/* How long one that does not read holds the guest's output up, before it is dropped. */
#define CLIENT_PATIENCE_NS 1000000000ull

struct client {
	int fd; /* -1: a free place */
	u8 bytes[CLIENT_BYTES];
	size_t length;	/* what it has not taken yet */
	u64 stalled_ns; /* since then it has been full; 0: it is not */
};

static struct {
	int folder, listener;
	int input, output, errors; /* the runner's 0 to 2, our ends; -1: closed */
	int log, messages;
	size_t log_bytes, messages_bytes;
	bool is_alone; /* descriptor 2 is the log */
	u8 typed[PIECE_BYTES];
	size_t typed_bytes; /* what the runner has not taken yet */
	struct client clients[CLIENTS_MAX];
} hub = {.listener = -1, .input = -1, .output = -1, .errors = -1, .log = -1, .messages = -1};

/* ---- logs ---- */

static int open_log(const char *name)
{
	return openat(hub.folder, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* What a full file system does not take is lost; the guest goes on. */
static void write_log(int fd, const u8 *from, size_t bytes)
{
	if (fd >= 0 && write(fd, from, bytes) < 0)
		errno = 0;
}

static void log_output(const u8 *from, size_t bytes)
{
	if (hub.log_bytes + bytes > CONSOLE_LOG_BYTES) {
		close(hub.log);
		renameat(hub.folder, "console.log", hub.folder, "console.log.1");
		hub.log = open_log("console.log");
		hub.log_bytes = 0;
	}
	write_log(hub.log, from, bytes);
	hub.log_bytes += bytes;
}

static void log_messages(const u8 *from, size_t bytes)
{
	if (hub.messages_bytes + bytes <= MESSAGES_BYTES)
		write_log(hub.messages, from, bytes);
	hub.messages_bytes += bytes;
	if (!hub.is_alone)
		write_log(STDERR_FILENO, from, bytes);
}

/* ---- those who are attached ---- */

static void drop(struct client *client)
{
	close(client->fd);
	client->fd = -1;
	client->length = 0;
	client->stalled_ns = 0;
}

static void flush(struct client *client)
{
	ssize_t sent = send(client->fd, client->bytes, client->length, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		drop(client);
		return;
	}
	if (sent <= 0)
		return;
	client->length -= (size_t)sent;
	memmove(client->bytes, client->bytes + sent, client->length);
	client->stalled_ns = 0;
}

static bool is_full(const struct client *client)
{
	return client->length > CLIENT_BYTES - PIECE_BYTES;
}

static void show(struct client *client, const u8 *from, size_t bytes)
{
	if (client->fd < 0)
		return;
	memcpy(client->bytes + client->length, from, bytes);
	client->length += bytes;
	flush(client);
}

/* True: somebody has no room, and may still make some. */
static bool is_held_up(struct loop *loop)
{
	bool is_held = false;

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &hub.clients[i];

		if (client->fd < 0 || !is_full(client))
			continue;
		if (!client->stalled_ns)
			client->stalled_ns = loop_now_ns();
		if (loop_now_ns() - client->stalled_ns > CLIENT_PATIENCE_NS) {
			drop(client);
			continue;
		}
		loop_wake_at(loop, client->stalled_ns + CLIENT_PATIENCE_NS + 1000000);
		is_held = true;
	}
	return is_held;
}

static struct client *find_free(void)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (hub.clients[i].fd < 0)
			return &hub.clients[i];
	}
	return NULL;
}

static void take_client(void *context, short events)
{
	struct client *client = find_free();
	int fd = accept4(hub.listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		*client = (struct client){.fd = fd};
}

/* ---- bytes ---- */

static void type(void)
{
	ssize_t written = write(hub.input, hub.typed, hub.typed_bytes);

	if (written <= 0)
		return;
	hub.typed_bytes -= (size_t)written;
	memmove(hub.typed, hub.typed + written, hub.typed_bytes);
}

static void input_ready(void *context, short events)
{
	if (events & (POLLERR | POLLHUP)) {
		close(hub.input);
		hub.input = -1;
		return;
	}
	type();
}

/* What a client typed goes behind what the runner has not taken yet. False: it is gone. */
static bool receive(struct client *client)
{
	size_t room = sizeof(hub.typed) - hub.typed_bytes;
	ssize_t got = recv(client->fd, hub.typed + hub.typed_bytes, room, MSG_DONTWAIT);

	if (!room)
		return true;
	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	hub.typed_bytes += (size_t)got;
	if (hub.input < 0)
		hub.typed_bytes = 0; /* nobody to type to */
	else
		type();
	return got > 0;
}

static void client_ready(void *context, short events)
{
	struct client *client = context;

	if (events & POLLOUT)
		flush(client);
	if (client->fd < 0)
		return;
	if (events & POLLIN ? !receive(client) : events & (POLLHUP | POLLERR))
		drop(client);
}

/* A piece of what the runner wrote. False: there is none, now or ever. */
static bool pass_on(int *fd, void (*log)(const u8 *from, size_t bytes))
{
	u8 piece[PIECE_BYTES];
	ssize_t got = *fd >= 0 ? read(*fd, piece, sizeof(piece)) : 0;

	if (got > 0) {
		log(piece, (size_t)got);
		for (unsigned i = 0; i < CLIENTS_MAX && fd == &hub.output; i++)
			show(&hub.clients[i], piece, (size_t)got);
	} else if (*fd >= 0 && (got == 0 || (errno != EAGAIN && errno != EINTR))) {
		close(*fd);
		*fd = -1;
	}
	return got > 0;
}

static void output_ready(void *context, short events)
{
	pass_on(&hub.output, log_output);
}

static void errors_ready(void *context, short events)
{
	pass_on(&hub.errors, log_messages);
}

void console_hub_prepare(struct loop *loop)
{
	if (!is_held_up(loop))
		loop_add(loop, hub.output, POLLIN, output_ready, NULL);
	loop_add(loop, hub.errors, POLLIN, errors_ready, NULL);
	if (hub.typed_bytes)
		loop_add(loop, hub.input, POLLOUT, input_ready, NULL);
	if (find_free())
		loop_add(loop, hub.listener, POLLIN, take_client, NULL);
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &hub.clients[i];
		short events = hub.typed_bytes ? 0 : POLLIN;

		if (client->length)
			events |= POLLOUT;
		loop_add(loop, client->fd, events, client_ready, client);
	}
}

/* ---- beginning and end ---- */

static int no_console(int flags)
{
	return open("/dev/null", flags | O_CLOEXEC);
}

/* ours: what stays here, without blocking. */
static bool make_pipe(int *theirs, int *ours, bool is_input)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return false;
	*theirs = ends[is_input ? 0 : 1];
	*ours = ends[is_input ? 1 : 0];
	return !fcntl(*ours, F_SETFL, O_NONBLOCK);
}

static bool open_console(int stdio[3])
{
	hub.listener = control_listen(hub.folder, "console");
	hub.log = open_log("console.log");
	return hub.listener >= 0 && hub.log >= 0 && make_pipe(&stdio[0], &hub.input, true) &&
		make_pipe(&stdio[1], &hub.output, false);
}

enum status console_hub_open(
	const struct claim *claim, bool has_console, int stdio[3], struct error *error)
{
	bool is_good;

	hub.folder = claim->folder;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		hub.clients[i].fd = -1;
	if (has_console) {
		is_good = open_console(stdio);
	} else {
		stdio[0] = no_console(O_RDONLY);
		stdio[1] = no_console(O_WRONLY);
		is_good = stdio[0] >= 0 && stdio[1] >= 0;
	}
	hub.messages = open_log("messages");
	if (is_good && hub.messages >= 0 && make_pipe(&stdio[2], &hub.errors, false))
		return STATUS_OK;
	return error_set_errno(error, "the machine's console");
}

void console_hub_take_messages(void)
{
	hub.is_alone = dup2(hub.messages, STDERR_FILENO) >= 0;
}

/* Waits; one that takes nothing for a second is dropped. */
static void send_rest(struct client *client)
{
	size_t sent = 0;

	while (client->fd >= 0 && sent < client->length) {
		ssize_t now =
			send(client->fd, client->bytes + sent, client->length - sent, MSG_NOSIGNAL);

		if (now <= 0)
			drop(client);
		else
			sent += (size_t)now;
	}
	client->length = 0;
}

/* The runner is dead, so its pipes end. Who is attached may take its time, but not all of ours. */
void console_hub_finish(void)
{
	struct timeval patience = {.tv_sec = 1};

	while (pass_on(&hub.errors, log_messages))
		;
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (hub.clients[i].fd >= 0)
			setsockopt(hub.clients[i].fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
				sizeof(patience));
	}
	do {
		for (unsigned i = 0; i < CLIENTS_MAX; i++)
			send_rest(&hub.clients[i]);
	} while (pass_on(&hub.output, log_output));
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (hub.clients[i].fd >= 0)
			drop(&hub.clients[i]);
	}
}
