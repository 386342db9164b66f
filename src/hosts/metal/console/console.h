/* SPDX-License-Identifier: MIT */
/*
 * One serial port for all guests. Until one is chosen, what they write comes in lines with `NAME| ` before them; Ctrl-A and a digit goes to that
 * guest's console (its number in the bundle, from 1), Ctrl-A 0 back to all; Ctrl-A Ctrl-A is a Ctrl-A for the guest.
 *
 * A line's writer never waits for the port: a thread carries what the lines hold to it.
 */
#ifndef HOSTS_METAL_CONSOLE_CONSOLE_H
#define HOSTS_METAL_CONSOLE_CONSOLE_H

#include "core/machine.h"
#include "devices/backend/console.h"
#include "hosts/metal/spinlock.h"

#define CONSOLE_LINE_BYTES 16384
#define CONSOLE_LINES_MAX 64
#define CONSOLE_INPUT_BYTES 4096 /* what is pasted; more is lost, so that Ctrl-A is always heard */

/* A guest's end of it. */
struct console_line {
	const char *name;
	struct machine *machine;
	struct console_device device; /* set once the board is made */
	struct spinlock lock;	      /* the ring, device_waits */
	u8 ring[CONSOLE_LINE_BYTES];
	size_t in, out; /* ever written, ever taken */
	size_t shown;	/* ever carried to the port; atomic */
	bool device_waits;
	u64 written_ns; /* when it last grew */
	/* The console thread's. */
	u8 input[CONSOLE_INPUT_BYTES];
	size_t input_count;
};

/* The port; then the thread, once there are threads. */
void console_init(void);
void console_start(void);
/* Before the guests are started. */
struct console_backend console_line_open(
	struct console_line *line, const char *name, struct machine *machine);
/* Returns when all that it has is written. On a thread. */
void console_line_flush(struct console_line *line);

/* A line of the hypervisor's own, "lodge-metal: " before it. At once, from any thread. */
void console_say(const char *format, ...) format_like(1, 2);

#endif
