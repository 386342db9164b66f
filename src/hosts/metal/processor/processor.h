/* SPDX-License-Identifier: MIT */
/* One of the machine's own processors: what is its alone, found through FS. */
#ifndef HOSTS_METAL_PROCESSOR_PROCESSOR_H
#define HOSTS_METAL_PROCESSOR_PROCESSOR_H

#include "base/types.h"
#include "hosts/metal/schedule/run_queue.h"

#define PROCESSORS_MAX 64

enum descriptor_selector {
	SELECTOR_CODE = 0x08,
	SELECTOR_DATA = 0x10,
	SELECTOR_TASK = 0x18, /* two entries */
};

/* APM volume 2, 12.2.5. */
struct task_state {
	u32 reserved;
	u64 stacks[3], reserved_2, interrupt_stacks[7];
	u8 reserved_3[10];
	u16 io_map;
} __attribute__((packed));

/* Stacks of their own for what may come when the current one is broken: double faults, NMIs. */
enum interrupt_stack { STACK_DOUBLE_FAULT = 1, STACK_NMI = 2 };

struct processor {
	struct processor *self; /* first: what FS points to */
	unsigned index;
	u32 apic_id;
	u32 preempt_disabled; /* how often; only its own processor changes it */
	bool needs_schedule; /* whoever enables preemption, or returns from an interrupt, is to schedule */
	bool is_started;
	struct run_queue queue;
	u64 descriptors[5];
	struct task_state task;
};

extern struct processor *processors[PROCESSORS_MAX];
extern unsigned processor_count; /* those that run */

/* The one that this runs on, which is sure to stay so only while preemption or interrupts are disabled. */
static inline struct processor *processor_here(void)
{
	struct processor *here;
	__asm__ volatile("mov %%fs:0, %0" : "=r"(here));
	return here;
}

/* First of all: the processor that the loader has started has an FS, before there is memory. */
void processor_begin(void);
/* Its other parts, once there is memory; it is the first of `processors`. */
void processor_enter_first(void);

/* NULL: no memory. */
struct processor *processor_create(u32 apic_id);
/* On it: descriptor tables, control registers, FS. Interrupts stay disabled. */
void processor_enter(struct processor *processor);

static inline void preempt_disable(void)
{
	__asm__ volatile("incl %%fs:%c0"
			 :
			 : "i"(offsetof(struct processor, preempt_disabled))
			 : "memory");
}
/* May schedule, if interrupts are enabled. */
void preempt_enable(void);

#endif
