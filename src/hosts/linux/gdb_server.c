/* SPDX-License-Identifier: MIT */
#include "hosts/linux/gdb_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "control/gdb.h"
#include "core/machine.h"
#include "hosts/linux/sandbox/sandbox.h"

/* How long a gdb that reads nothing may keep the thread. */
#define SEND_SECONDS 5

static struct {
	struct machine *machine;
	int listener, connection, stops;
	struct gdb_stub stub;
	pthread_t thread;
	bool is_started, is_ending; /* is_ending: atomic */
	u8 status;		    /* of the machine that has ended */
} server;

static void send_bytes(void *context, const char *from, size_t bytes)
{
	while (bytes) {
		ssize_t sent = send(server.connection, from, bytes, MSG_NOSIGNAL);
		if (sent < 0 && errno != EINTR) {
			shutdown(server.connection, SHUT_RDWR); /* which ends the next recv */
			return;
		}
		if (sent > 0) {
			from += sent;
			bytes -= (size_t)sent;
		}
	}
}

static void notify(void *context)
{
	static const u64 one = 1;
	ssize_t written = write(server.stops, &one, sizeof(one));
	(void)written;
}

static bool is_ending(void)
{
	return __atomic_load_n(&server.is_ending, __ATOMIC_ACQUIRE);
}

/* Waits for the descriptor, the stub's stops, the machine's end; true: the descriptor has something. */
static bool wait_for(int descriptor)
{
	struct pollfd polled[] = {
		{.fd = descriptor, .events = POLLIN}, {.fd = server.stops, .events = POLLIN}};
	u64 count;
	if (poll(polled, 2, -1) < 0)
		return false;
	if (polled[1].revents && read(server.stops, &count, sizeof(count)) > 0)
		gdb_stopped(&server.stub);
	return polled[0].revents;
}

static void serve_connection(void)
{
	char bytes[1024];
	while (!server.stub.is_detached && !is_ending()) {
		if (!wait_for(server.connection))
			continue;
		ssize_t got = recv(server.connection, bytes, sizeof(bytes), 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		gdb_receive(&server.stub, bytes, (size_t)got);
	}
	if (is_ending())
		gdb_ended(&server.stub, server.status);
	else
		gdb_detach(&server.stub);
	close(server.connection);
}

static void accept_connection(void)
{
	struct timeval patience = {.tv_sec = SEND_SECONDS};
	int one = 1;
	server.connection = accept(server.listener, NULL, NULL);
	if (server.connection < 0)
		return;
	/* Packets are short and wait for each other. A Unix socket knows no such option. */
	setsockopt(server.connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(server.connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	/* The machine stands from the start until the first gdb; later ones find it running. */
	gdb_attach(&server.stub, server.machine, send_bytes, notify, NULL);
	serve_connection();
}

static void *server_main(void *argument)
{
	sandbox_enter_role(SANDBOX_GDB);
	while (!is_ending()) {
		if (wait_for(server.listener))
			accept_connection();
	}
	return NULL;
}

bool gdb_server_start(struct machine *machine, int listener)
{
	server.machine = machine;
	server.listener = listener;
	server.stops = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server.stops < 0)
		return false;
	machine_request_pause(machine);
	server.is_started = !pthread_create(&server.thread, NULL, server_main, NULL);
	return server.is_started;
}

void gdb_server_end(int status)
{
	if (!server.is_started)
		return;
	server.status = (u8)status;
	__atomic_store_n(&server.is_ending, true, __ATOMIC_RELEASE);
	notify(NULL);
	pthread_join(server.thread, NULL);
}
