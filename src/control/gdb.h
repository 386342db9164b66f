/* SPDX-License-Identifier: MIT */
/*
 * The GDB remote serial protocol for a machine: registers, memory by virtual address, breakpoints, watched bytes, single steps. One thread of
 * the host's feeds bytes in and takes bytes out; the machine is paused whenever gdb has the word.
 * Source: GDB manual, appendix E.
 */
#ifndef CONTROL_GDB_H
#define CONTROL_GDB_H

#include "base/types.h"

struct machine;
struct vcpu;

#define GDB_PACKET_BYTES 4096
#define GDB_BREAKPOINTS 64
#define GDB_WATCHPOINTS 8
#define GDB_WATCHED_BYTES 64 /* at most, by one */

/* A watched value, as it was before the instruction that executes now. */
struct gdb_watchpoint {
	u64 address; /* linear */
	u8 bytes;
	bool is_known;
	u8 value[GDB_WATCHED_BYTES];
};

struct gdb_stub {
	struct machine *machine;
	/* Sends bytes to gdb. */
	void (*send)(void *context, const char *from, size_t bytes);
	/* The machine has stopped at a breakpoint or after a step, on the vCPU's thread: the host calls gdb_stopped soon. */
	void (*notify)(void *context);
	void *context;

	char packet[GDB_PACKET_BYTES + 1];
	size_t length;
	char sent[GDB_PACKET_BYTES + 8]; /* the last one */
	size_t sent_bytes;
	enum { GDB_IDLE, GDB_IN_PACKET, GDB_CHECKSUM_1, GDB_CHECKSUM_2 } receiving;
	u8 sum;
	char checksum_digit;
	bool no_acks;
	bool is_running; /* the guest runs; gdb waits */
	bool is_detached;

	unsigned current; /* vCPU that g, m, s are about */
	u64 breakpoints[GDB_BREAKPOINTS];
	unsigned breakpoint_count;
	struct gdb_watchpoint watchpoints[GDB_WATCHPOINTS];
	unsigned watchpoint_count;
	const struct gdb_watchpoint *changed; /* why it stopped; NULL: something else */
	bool is_stepping;
	bool skip_first; /* the instruction at first_rip runs without a look at the breakpoints */
	u64 first_rip;
	unsigned stopped_at; /* vCPU that stopped it */
};

/* gdb has connected: pauses the machine. */
void gdb_attach(struct gdb_stub *stub, struct machine *machine,
	void (*send)(void *context, const char *from, size_t bytes), void (*notify)(void *context),
	void *context);
/* Bytes from gdb, whatever they are. */
void gdb_receive(struct gdb_stub *stub, const char *bytes, size_t count);
/* After notify: tells gdb. */
void gdb_stopped(struct gdb_stub *stub);
/* The machine has ended, its vCPUs with it: tells gdb, which expects nothing more. */
void gdb_ended(struct gdb_stub *stub, u8 status);
/* gdb has gone: breakpoints are forgotten, and the guest runs on. */
void gdb_detach(struct gdb_stub *stub);

#endif
