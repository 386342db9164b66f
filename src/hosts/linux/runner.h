/* SPDX-License-Identifier: MIT */
/*
 * The life of one machine on Linux, after its description is read and its descriptors are mapped (programs/lodge_vm.c), until it
 * ends.
 */
#ifndef HOSTS_LINUX_RUNNER_H
#define HOSTS_LINUX_RUNNER_H

#include "boards/pc.h"
#include "boot/boot.h"
#include "control/config.h"

/* The exit statuses of lodge, which the front passes on (INTERFACE.md); a write of v to the exit port is 64 + (v & 63). */
enum lodge_exit_status {
	LODGE_EXIT_OK = 0,	/* powered off; or reset under no_reboot */
	LODGE_EXIT_FAILURE = 1, /* could not do what was asked; or stopped by order */
	LODGE_EXIT_USAGE = 2,
	LODGE_EXIT_SHUTDOWN = 3, /* triple fault under no_reboot */
	LODGE_EXIT_FAULT = 4,	 /* a fault of our own */
	LODGE_EXIT_PORT = 64,
};

/*
 * What a runner tells of its guest while it runs: a page of a file that it shares with the front and with `lodge list`. The runner writes it,
 * and whoever reads it believes nothing: a guest that has broken out could have written it.
 */
struct runner_status {
	u32 panics; /* how often the guest's kernel said that it panicked */
	/* How often SIGURG has been answered; and the guest has told of its memory, which it is asked at each SIGURG where it can. */
	u32 counted, told, can_tell;
	struct pc_counts counts;
};
#define RUNNER_STATUS_BYTES 4096

/*
 * Over config.vsock_fd, a socket of packets. The runner wants a port of the host's, and the front answers by the same number, with a
 * descriptor or, if nobody is there, without. By itself the front hands over whoever has come to the machine's socket: request 0.
 */
struct runner_vsock_message {
	u32 request, port;
};

struct runner_parameters {
	struct machine_config config; /* checked: engine is a real one's name, not "auto" */
	u8 *ram; /* config.memory bytes, shared, zeroed; config.ram_fd is theirs, and closed once all have it who need it */
	struct runner_status *status; /* never NULL */
	struct boot_images
		images; /* read-only, sealed memfds: shared memory, never changes; stay for resets */
};

/*
 * Locks itself in (unless config.no_sandbox), makes the machine, loads it, then writes "lodge: " and config.notice, if any, to stderr as
 * a line, and runs it to its end. What goes wrong before is one line on stderr beginning "lodge: ". Returns an exit status.
 *
 * Descriptors: 0 and 1 are the console (config.console "stdio"; perhaps a terminal, which the front has made raw, and whose file
 * flags the front restores); 2 is for messages; config.gdb_fd is a listening socket or -1. config.ready_fd, unless -1, gets one byte once the
 * guest is loaded, after the notice, and is closed.
 *
 * Signals from the front: SIGUSR1 presses the power button; SIGUSR2 stops the machine (status 1); SIGURG, from whoever wants to know, has
 * the counts in the status written anew. SIGTERM, SIGINT, SIGHUP, SIGQUIT,
 * SIGTSTP, SIGTTIN, SIGTTOU and SIGPIPE come in ignored and stay so: the front has had them already. The front's death kills the runner.
 */
int runner_run(const struct runner_parameters *parameters);

#endif
