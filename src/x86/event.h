/* SPDX-License-Identifier: MIT */
/* What exceptions.c, interrupts.c and debug.c have between them. */
#ifndef X86_EVENT_H
#define X86_EVENT_H

#include "x86/exceptions.h"

struct event {
	u8 vector;
	u8 kind; /* enum event_kind */
	bool has_error_code;
	bool resumes; /* RF is pushed set */
	u32 error_code;
};

/* Delivers without raising: faults on the way become #DF and shutdown. */
void event_deliver_safely(struct cpu *cpu, struct event *event);

/* The pending debug conditions go into DR6 (#DB is about to be delivered), or are forgotten. */
void debug_note(struct cpu *cpu);
void debug_drop(struct cpu *cpu);

/* A task gate in the IDT: task_switch with the event's EXT in its error codes. */
void task_switch_event(
	struct cpu *cpu, u16 selector, bool has_error_code, u32 error_code, u32 error_extra);

#endif
