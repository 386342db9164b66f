/* SPDX-License-Identifier: MIT */
/*
 * vsock serve PORT: echoes what each connection says, many at a time. vsock call PORT BYTES: sends so many counting bytes to the host's port,
 * ends its side, and prints how many came back, and whether they are the same.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

static struct sockaddr_vm address_of(unsigned cid, const char *port)
{
	return (struct sockaddr_vm){.svm_family = AF_VSOCK,
		.svm_cid = cid,
		.svm_port = (unsigned)strtoul(port, NULL, 10)};
}

static int fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

static void *echo(void *argument)
{
	static __thread char bytes[65536];
	int fd = (int)(long)argument;
	ssize_t got, sent;

	while ((got = read(fd, bytes, sizeof(bytes))) > 0) {
		for (ssize_t done = 0; done < got; done += sent) {
			sent = write(fd, bytes + done, (size_t)(got - done));
			if (sent <= 0)
				goto out;
		}
	}
out:
	close(fd);
	return NULL;
}

static int serve(const char *port)
{
	struct sockaddr_vm address = address_of(VMADDR_CID_ANY, port);
	int listener = socket(AF_VSOCK, SOCK_STREAM, 0), fd;
	pthread_t thread;

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
		listen(listener, 64))
		return fail("listen");
	puts("serving");
	fflush(stdout);
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (!pthread_create(&thread, NULL, echo, (void *)(long)fd))
			pthread_detach(thread);
	}
	return fail("accept");
}

struct sending {
	int fd;
	unsigned long bytes;
};

static unsigned char byte_at(unsigned long at)
{
	return (unsigned char)(at * 7 + at / 251);
}

static void *send_all(void *argument)
{
	struct sending *sending = argument;
	unsigned char bytes[8192];
	unsigned long at = 0;

	while (at < sending->bytes) {
		unsigned long piece = sending->bytes - at;
		ssize_t sent;

		piece = piece < sizeof(bytes) ? piece : sizeof(bytes);
		for (unsigned long i = 0; i < piece; i++)
			bytes[i] = byte_at(at + i);
		sent = write(sending->fd, bytes, piece);
		if (sent <= 0)
			return NULL;
		at += (unsigned long)sent;
	}
	shutdown(sending->fd, SHUT_WR);
	return NULL;
}

static int call(const char *port, const char *bytes)
{
	struct sockaddr_vm address = address_of(VMADDR_CID_HOST, port);
	struct sending sending = {socket(AF_VSOCK, SOCK_STREAM, 0), strtoul(bytes, NULL, 10)};
	static unsigned char buffer[65536];
	unsigned long at = 0, wrong = 0;
	pthread_t thread;
	ssize_t got;

	if (sending.fd < 0 || connect(sending.fd, (struct sockaddr *)&address, sizeof(address)))
		return fail("connect");
	pthread_create(&thread, NULL, send_all, &sending);
	while ((got = read(sending.fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t i = 0; i < got; i++)
			wrong += buffer[i] != byte_at(at++);
	}
	if (got < 0)
		return fail("read");
	pthread_join(thread, NULL);
	printf("%lu bytes, %lu wrong\n", at, wrong);
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "call"))
		return call(argv[2], argv[3]);
	puts("vsock serve PORT | call PORT BYTES");
	return 2;
}
