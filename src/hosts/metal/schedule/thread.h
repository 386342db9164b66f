/* SPDX-License-Identifier: MIT */
/*
 * Threads of the hypervisor: one a vCPU, one a guest for its events, one for the console. Each lives on one processor, and may be preempted wherever it
 * holds no spinlock.
 */
#ifndef HOSTS_METAL_SCHEDULE_THREAD_H
#define HOSTS_METAL_SCHEDULE_THREAD_H

#include "core/host.h"
#include "hosts/metal/schedule/fair.h"

struct processor;

#define THREAD_STACK_BYTES ((u64)64 << 10) /* the lowest page is not there */
#define THREADS_MAX 1024

enum thread_state { THREAD_READY, THREAD_RUNNING, THREAD_WAITING, THREAD_ENDED };

struct thread {
	struct list link; /* among the services */
	struct list sleeper;
	const char *name; /* lives as long as the thread */
	u32 number;
	u8 state; /* enum thread_state; under its processor's queue's lock */
	bool is_service;
	struct fair_share share;
	struct processor *processor;
	u64 stack_pointer; /* while it does not run */
	u8 *stack;
	void (*main)(void *argument);
	void *argument;
	u64 deadline_ns;
	u64 started_ns; /* when it was last given the processor */
	u64 ran_ns;
	void *extended_state; /* NULL: it never touches the FPU */
	void *base;	      /* GS */
	struct host_signal ended;
};

struct thread_parameters {
	const char *name;
	void (*main)(void *argument);
	void *argument;
	bool is_service;
	u64 weight, limit_percent; /* a vCPU's: fair.h; weight 0: the default */
};

/* Makes it ready on the processor that has fewest. NULL: no memory. */
struct thread *thread_create(const struct thread_parameters *parameters);
/* Waits until it has ended, and frees it. */
void thread_join(struct thread *thread);
struct thread *thread_current(void);

/* The calling context becomes this processor's idle thread. Once on each. */
void thread_adopt_idle(void);
/* What the idle thread does for ever. */
_Noreturn void thread_idle(void);

/* With interrupts disabled and preemption not: gives the processor to whom it is due. */
void thread_schedule(void);

#endif
