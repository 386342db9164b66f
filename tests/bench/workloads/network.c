/* SPDX-License-Identifier: MIT */
/*
 * TCP with the host: WORK_SERVER=ADDRESS:PORT is where `work serve PORT` runs natively. A connection begins with a letter and a
 * number of bytes: `t` are taken and answered by one byte, `g` are given, `e` bytes are echoed one by one.
 */
#include "tests/bench/workloads/work.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 256 << 10 };

struct order {
	u64 letter, bytes;
};

static const char *lacks_server(void)
{
	return getenv("WORK_SERVER") ? NULL : "a server";
}

/* The whole, or false. */
static int whole(int fd, void *data, u64 size, int is_write)
{
	for (u64 done = 0; done < size;) {
		ssize_t part = is_write ? write(fd, (u8 *)data + done, size - done)
					: read(fd, (u8 *)data + done, size - done);
		if (part <= 0)
			return 0;
		done += (u64)part;
	}
	return 1;
}

static void move(int fd, u8 *memory, u64 bytes, int is_write)
{
	for (u64 left = bytes, part; left; left -= part) {
		part = left < PIECE ? left : PIECE;
		if (!whole(fd, memory, part, is_write))
			fail("the connection");
	}
}

static int dial(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	char address[40];
	unsigned short port;
	int fd = (int)must(socket(AF_INET, SOCK_STREAM, 0), "a socket"), on = 1;

	if (sscanf(getenv("WORK_SERVER"), "%39[0-9.]:%hu", address, &port) != 2 ||
		!inet_aton(address, &to.sin_addr))
		fail("WORK_SERVER");
	to.sin_port = htons(port);
	must(connect(fd, (struct sockaddr *)&to, sizeof to), "connecting");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static u64 transfer(u64 letter, u64 bytes)
{
	struct order order = {letter, bytes};
	int fd = dial();

	move(fd, (u8 *)&order, sizeof order, 1);
	if (letter == 'e')
		for (u64 i = 0; i < bytes; i++) {
			move(fd, buffer, 1, 1);
			move(fd, buffer, 1, 0);
		}
	else
		move(fd, buffer, bytes, letter == 't');
	if (letter == 't')
		move(fd, buffer, 1, 0);
	close(fd);
	return 1;
}

static u64 send_mib(u64 times)
{
	return transfer('t', times << 20);
}

static u64 receive_mib(u64 times)
{
	return transfer('g', times << 20);
}

static u64 round_trips(u64 times)
{
	return transfer('e', times);
}

static void *serve_one(void *data)
{
	int fd = (int)(long)data, on = 1;
	u8 *memory = calloc(1, PIECE);
	struct order order;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (memory && whole(fd, &order, sizeof order, 0)) {
		u64 most = order.letter == 'e' ? 1 : PIECE;
		for (u64 left = order.bytes, part; left; left -= part) {
			part = left < most ? left : most;
			if (order.letter != 'g' && !whole(fd, memory, part, 0))
				break;
			if (order.letter != 't' && !whole(fd, memory, part, 1))
				break;
		}
		if (order.letter == 't')
			whole(fd, memory, 1, 1);
	}
	free(memory);
	close(fd);
	return NULL;
}

/* On the host's loopback; prints its port, and ends with its standard input. */
static void *accept_all(void *data)
{
	for (;;) {
		pthread_t thread;
		int fd = accept((int)(long)data, NULL, NULL);

		if (fd >= 0 && pthread_create(&thread, NULL, serve_one, (void *)(long)fd))
			close(fd);
		else if (fd >= 0)
			pthread_detach(thread);
	}
	return NULL;
}

void serve(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof at;
	int fd = (int)must(socket(AF_INET, SOCK_STREAM, 0), "a socket");
	pthread_t thread;

	signal(SIGPIPE, SIG_IGN);
	must(bind(fd, (struct sockaddr *)&at, sizeof at), "bind");
	must(listen(fd, 8), "listen");
	must(getsockname(fd, (struct sockaddr *)&at, &size), "getsockname");
	printf("SERVING %d\n", ntohs(at.sin_port));
	if (pthread_create(&thread, NULL, accept_all, (void *)(long)fd))
		fail("a thread");
	while (getchar() != EOF)
		;
}

const struct workload network_work[] = {
	{"tcp-to-host-1MiB", .run = send_mib, .lacks = lacks_server},
	{"tcp-from-host-1MiB", .run = receive_mib, .lacks = lacks_server},
	{"tcp-round-trip", .run = round_trips, .lacks = lacks_server},
	{NULL},
};
