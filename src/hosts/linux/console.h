/* SPDX-License-Identifier: MIT */
/*
 * The guest's first serial port on descriptors 0 and 1. Output goes through a ring that a thread of its own writes out, so
 * that a slow reader never holds up the machine's lock; input is read by the runner's loop, with Ctrl-A as the escape.
 */
#ifndef HOSTS_LINUX_CONSOLE_H
#define HOSTS_LINUX_CONSOLE_H

#include <pthread.h>

#include "core/host.h"
#include "devices/backend/console.h"

#define CONSOLE_RING_BYTES 65536
#define CONSOLE_INPUT_BYTES 4096

struct machine;

struct console {
	struct machine *machine;
	struct console_backend backend;
	struct console_device device; /* set by the owner before console_start */
	int input, output;	      /* descriptors; -1: none */
	bool waits_when_full; /* CLOCK_INSTRUCTIONS: a slow reader must not be seen by the guest */

	struct host_lock lock; /* the ring; taken inside machine->lock */
	u8 ring[CONSOLE_RING_BYTES];
	u64 ring_in, ring_out; /* counts; the difference is what the ring holds */
	bool device_waits;     /* the device was given less than it wanted */
	bool is_closing;
	struct host_signal has_output, has_room;
	pthread_t writer;

	u8 pending_input[CONSOLE_INPUT_BYTES];
	size_t pending_start, pending_end;
	bool escape_seen;    /* Ctrl-A came */
	int wake_descriptor; /* eventfd of the loop: input may go on */
};

void console_init(struct console *console, struct machine *machine, int input, int output,
	int wake_descriptor);
bool console_start(struct console *console) must_use;
/* Writes out what there is, and ends the thread. */
void console_finish(struct console *console);

/* Whether the loop should poll the input descriptor. */
bool console_wants_input(const struct console *console);
/* The input descriptor is readable. True: Ctrl-A x was typed. */
bool console_read(struct console *console);
/* The device may have room again. */
void console_offer(struct console *console);

#endif
