/* SPDX-License-Identifier: MIT */
#include "hosts/linux/vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/machine.h"
#include "hosts/linux/runner.h"
#include "hosts/linux/sandbox/sandbox.h"

/* Clients that have not said yet which port they want. */
#define GREETINGS_MAX 16
#define GREETING_BYTES 32
/* Descriptors that nobody has closed yet: no more are opened in one round of the thread's. */
#define DEAD_MAX (VSOCK_CONNECTIONS_MAX + GREETINGS_MAX + 1)

struct end {
	int fd;	     /* -1: none (yet) */
	u32 request; /* that the front has not answered; 0: none */
};

struct greeting {
	int fd; /* -1: a free place */
	char line[GREETING_BYTES];
	unsigned length;
};

static struct {
	struct vsock_backend backend;
	struct vsock_device device; /* set by the board */
	struct machine *machine;
	int front, wake;
	pthread_t thread;
	bool is_started;
	u32 is_closing; /* atomic */

	/* Guarded by machine->lock. Only the thread closes descriptors: it may be waiting for them. */
	struct end ends[VSOCK_CONNECTIONS_MAX];
	int dead[DEAD_MAX];
	unsigned dead_count;
	u32 last_request;
	/* The thread's own. */
	struct greeting greetings[GREETINGS_MAX];
	unsigned next_greeting;
} all = {.front = -1};

static void wake_thread(void *context)
{
	static const u64 one = 1;
	ssize_t written = write(all.wake, &one, sizeof(one));
	(void)written;
}

/* ---- what the device asks for; with machine->lock held ---- */

static bool end_connect(void *context, unsigned connection, u32 port)
{
	struct runner_vsock_message message = {.port = port};

	if (!++all.last_request)
		all.last_request = 1;
	message.request = all.last_request;
	if (write(all.front, &message, sizeof(message)) != sizeof(message))
		return false;
	all.ends[connection] = (struct end){.fd = -1, .request = message.request};
	return true;
}

static void end_accepted(void *context, unsigned connection, u32 port)
{
	char line[GREETING_BYTES];
	int length = snprintf(line, sizeof(line), "OK %u\n", port);
	/* Whoever does not read it has gone, which the first read will find. */
	ssize_t written = write(all.ends[connection].fd, line, (size_t)length);
	(void)written;
}

static i32 transferred(ssize_t count)
{
	if (count > 0)
		return (i32)count;
	return count < 0 && (errno == EAGAIN || errno == EINTR) ? VSOCK_LATER : VSOCK_ENDED;
}

static i32 end_read(void *context, unsigned connection, u8 *to, u32 bytes)
{
	return transferred(read(all.ends[connection].fd, to, bytes));
}

static i32 end_write(void *context, unsigned connection, const u8 *from, u32 bytes)
{
	return transferred(write(all.ends[connection].fd, from, bytes));
}

static void end_end_output(void *context, unsigned connection)
{
	shutdown(all.ends[connection].fd, SHUT_WR);
}

static void end_close(void *context, unsigned connection)
{
	struct end *end = &all.ends[connection];

	if (end->fd >= 0)
		all.dead[all.dead_count++] = end->fd;
	*end = (struct end){.fd = -1};
	wake_thread(NULL);
}

/* ---- the thread ---- */

static void close_dead(void)
{
	int dead[DEAD_MAX];
	unsigned count;

	host_lock(&all.machine->lock);
	count = all.dead_count;
	memcpy(dead, all.dead, sizeof(dead[0]) * count);
	all.dead_count = 0;
	host_unlock(&all.machine->lock);
	for (unsigned i = 0; i < count; i++)
		close(dead[i]);
}

static void drop(struct greeting *greeting)
{
	close(greeting->fd);
	greeting->fd = -1;
}

/* The one that has waited longest goes, where there are too many. */
static void greet(int fd)
{
	struct greeting *greeting = &all.greetings[all.next_greeting++ % GREETINGS_MAX];

	if (greeting->fd >= 0)
		drop(greeting);
	*greeting = (struct greeting){.fd = fd};
}

/* The front has answered; too late, if the guest wants it no more. */
static void take_answer(u32 request, int fd)
{
	struct vsock_device *device = &all.device;
	bool is_wanted = false;

	host_lock(&all.machine->lock);
	for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
		struct end *end = &all.ends[i];

		if (end->request != request)
			continue;
		*end = (struct end){.fd = fd};
		is_wanted = true;
		if (fd >= 0)
			device->opened(device->device, i);
		else
			device->refused(device->device, i);
		break;
	}
	host_unlock(&all.machine->lock);
	if (!is_wanted && fd >= 0)
		close(fd);
}

static void take_message(void)
{
	struct runner_vsock_message message;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = {&message, sizeof(message)};
	struct msghdr envelope = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *rights;
	int fd = -1;

	if (recvmsg(all.front, &envelope, MSG_CMSG_CLOEXEC) != sizeof(message))
		return;
	rights = CMSG_FIRSTHDR(&envelope);
	if (rights && rights->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
	if (message.request)
		take_answer(message.request, fd);
	else if (fd >= 0)
		greet(fd);
}

/* Offers it to the guest. False: nobody there wants it. */
static bool offer(int fd, u32 port)
{
	struct vsock_device *device = &all.device;
	int connection;

	host_lock(&all.machine->lock);
	connection = device->request(device->device, port);
	if (connection >= 0)
		all.ends[connection] = (struct end){.fd = fd};
	host_unlock(&all.machine->lock);
	return connection >= 0;
}

static bool parse_greeting(const char *line, u32 *port)
{
	static const char word[] = "CONNECT ";
	const char *digits = line + sizeof(word) - 1;
	char *end;
	unsigned long long value;

	if (strncmp(line, word, sizeof(word) - 1) || *digits < '0' || *digits > '9')
		return false;
	value = strtoull(digits, &end, 10);
	*port = (u32)value;
	return !*end && value < 0xffffffff;
}

/* A byte at a time: what is behind the line is the guest's. */
static void listen_to(struct greeting *greeting)
{
	u32 port;

	for (;;) {
		char *at = &greeting->line[greeting->length];
		ssize_t got = read(greeting->fd, at, 1);

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0 || greeting->length == GREETING_BYTES - 1) {
			drop(greeting);
			return;
		}
		if (*at == '\n') {
			*at = 0;
			break;
		}
		greeting->length++;
	}
	if (parse_greeting(greeting->line, &port) && offer(greeting->fd, port))
		greeting->fd = -1;
	else
		drop(greeting);
}

static short events_of(unsigned wants)
{
	return (short)((wants & VSOCK_WANTS_INPUT ? POLLIN : 0) |
		(wants & VSOCK_WANTS_ROOM ? POLLOUT : 0));
}

/* Whoever has gone wakes all that waits for him. */
static unsigned wants_of(short events)
{
	if (events & (POLLHUP | POLLERR))
		return VSOCK_WANTS_INPUT | VSOCK_WANTS_ROOM | VSOCK_WANTS_END;
	return (events & POLLIN ? VSOCK_WANTS_INPUT : 0) |
		(events & POLLOUT ? VSOCK_WANTS_ROOM : 0);
}

static void prepare(struct pollfd polled[VSOCK_CONNECTIONS_MAX])
{
	struct vsock_device *device = &all.device;

	host_lock(&all.machine->lock);
	for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
		unsigned wants = all.ends[i].fd >= 0 ? device->wants(device->device, i) : 0;

		polled[i] = (struct pollfd){
			.fd = wants ? all.ends[i].fd : -1, .events = events_of(wants)};
	}
	host_unlock(&all.machine->lock);
}

static void serve(unsigned connection, const struct pollfd *polled)
{
	struct vsock_device *device = &all.device;

	host_lock(&all.machine->lock);
	if (all.ends[connection].fd == polled->fd)
		device->ready(device->device, connection, wants_of(polled->revents));
	host_unlock(&all.machine->lock);
}

enum { POLL_WAKE, POLL_FRONT, POLL_GREETINGS, POLL_ENDS = POLL_GREETINGS + GREETINGS_MAX };

static void wait_and_work(void)
{
	struct pollfd polled[POLL_ENDS + VSOCK_CONNECTIONS_MAX] = {
		[POLL_WAKE] = {.fd = all.wake, .events = POLLIN},
		[POLL_FRONT] = {.fd = all.front, .events = POLLIN}};
	u64 count;

	for (unsigned i = 0; i < GREETINGS_MAX; i++)
		polled[POLL_GREETINGS + i] =
			(struct pollfd){.fd = all.greetings[i].fd, .events = POLLIN};
	prepare(polled + POLL_ENDS);
	if (poll(polled, ARRAY_SIZE(polled), -1) < 0)
		return;
	if (polled[POLL_WAKE].revents) {
		ssize_t got = read(all.wake, &count, sizeof(count));
		(void)got;
	}
	for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
		if (polled[POLL_ENDS + i].revents)
			serve(i, &polled[POLL_ENDS + i]);
	}
	close_dead();
	for (unsigned i = 0; i < GREETINGS_MAX; i++) {
		if (polled[POLL_GREETINGS + i].revents)
			listen_to(&all.greetings[i]);
	}
	if (polled[POLL_FRONT].revents)
		take_message();
}

static void *vsock_main(void *argument)
{
	sandbox_enter_role(SANDBOX_VSOCK);
	while (!__atomic_load_n(&all.is_closing, __ATOMIC_SEQ_CST))
		wait_and_work();
	return NULL;
}

/* ---- life ---- */

enum status vsock_open(const struct machine_config *config, struct error *error)
{
	if (config->vsock_fd < 0)
		return STATUS_OK;
	for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++)
		all.ends[i].fd = -1;
	for (unsigned i = 0; i < GREETINGS_MAX; i++)
		all.greetings[i].fd = -1;
	all.backend = (struct vsock_backend){
		.connect = end_connect,
		.accepted = end_accepted,
		.read = end_read,
		.write = end_write,
		.end_output = end_end_output,
		.close = end_close,
		.wake = wake_thread,
	};
	all.front = config->vsock_fd;
	all.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (all.wake < 0 || fcntl(all.front, F_SETFL, O_RDWR | O_NONBLOCK))
		return error_set(error, STATUS_IO, "--vsock: %s", strerror(errno));
	return STATUS_OK;
}

struct pc_vsock vsock_get(void)
{
	return (struct pc_vsock){all.front >= 0 ? &all.backend : NULL, &all.device};
}

unsigned vsock_descriptors(int *descriptors, unsigned capacity)
{
	if (all.front < 0 || capacity < VSOCK_DESCRIPTORS)
		return 0;
	descriptors[0] = all.front;
	descriptors[1] = all.wake;
	return VSOCK_DESCRIPTORS;
}

unsigned vsock_more_descriptors(void)
{
	return all.front < 0 ? 0 : VSOCK_CONNECTIONS_MAX + DEAD_MAX + GREETINGS_MAX + 1;
}

unsigned vsock_threads(void)
{
	return all.front >= 0;
}

bool vsock_start(struct machine *machine)
{
	all.machine = machine;
	if (all.front < 0)
		return true;
	all.is_started = !pthread_create(&all.thread, NULL, vsock_main, NULL);
	return all.is_started;
}

void vsock_finish(void)
{
	if (!all.is_started)
		return;
	__atomic_store_n(&all.is_closing, 1, __ATOMIC_SEQ_CST);
	wake_thread(NULL);
	pthread_join(all.thread, NULL);
}
