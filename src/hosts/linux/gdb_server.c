/* SPDX-License-Identifier: MIT */
#include "hosts/linux/gdb_server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/gdb.h"
#include "core/machine.h"

static struct {
	struct machine *machine;
	int listener, connection, stops;
	struct gdb_stub stub;
} server;

static void send_bytes(void *context, const char *from, size_t bytes)
{
	while (bytes) {
		ssize_t sent = send(server.connection, from, bytes, MSG_NOSIGNAL);
		if (sent < 0 && errno != EINTR)
			return;
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

static void serve_connection(void)
{
	while (!server.stub.is_detached && !machine_has_ended(server.machine)) {
		struct pollfd polled[] = {{.fd = server.connection, .events = POLLIN},
			{.fd = server.stops, .events = POLLIN}};
		char bytes[1024];
		u64 count;
		if (poll(polled, 2, -1) < 0)
			continue;
		if (polled[1].revents && read(server.stops, &count, sizeof(count)) > 0)
			gdb_stopped(&server.stub);
		if (!polled[0].revents)
			continue;
		ssize_t got = recv(server.connection, bytes, sizeof(bytes), 0);
		if (got <= 0)
			break;
		gdb_receive(&server.stub, bytes, (size_t)got);
	}
	gdb_detach(&server.stub);
	close(server.connection);
}

static void *server_main(void *argument)
{
	for (;;) {
		server.connection = accept(server.listener, NULL, NULL);
		if (server.connection < 0 && errno != EINTR)
			return NULL;
		if (server.connection < 0)
			continue;
		/* The machine stands from the start until the first gdb; later ones find it running. */
		gdb_attach(&server.stub, server.machine, send_bytes, notify, NULL);
		serve_connection();
	}
}

bool gdb_server_start(struct machine *machine, int listener)
{
	pthread_t thread;
	server.machine = machine;
	server.listener = listener;
	server.stops = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server.stops < 0)
		return false;
	machine_request_pause(machine);
	return !pthread_create(&thread, NULL, server_main, NULL);
}
