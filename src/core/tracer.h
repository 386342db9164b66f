/* SPDX-License-Identifier: MIT */
/*
 * What a guest does, line by line, as a record of the host (core/host.h): each instruction, or what happens to the processor from
 * outside its program: exceptions, interrupts, accesses to devices and to MSRs that are the machine's. A line is
 *
 *     [cpuN ]COUNT CPL ADDRESS: WHAT
 *
 * COUNT being the instructions that the processor has done before. Machines without a tracer pay a look at a pointer where something of
 * this happens anyway, and nothing for an instruction. With one, counts are exact (machine->counts_insns), and from `after` on, where
 * instructions are asked for, the engine runs one at a time.
 */
#ifndef CORE_TRACER_H
#define CORE_TRACER_H

#include "core/insn_trace.h"
#include "core/machine.h"

struct tracer {
	bool instructions, events;
	u64 after;   /* instructions of each processor that come first */
	u32 is_over; /* atomic: no more lines are taken */
	struct tracer_vcpu {
		struct vcpu *vcpu;
		struct insn_trace insns;
	} vcpus[MACHINE_VCPUS_MAX];
};

/* How many instructions the vCPU's engine may run before this is asked again. On its own thread, outside of a run. */
u64 tracer_begin_run(struct vcpu *vcpu);
/* The last lines. Nobody runs any more. */
void tracer_end(struct machine *machine);

/* executes: an instruction of the vCPU's makes it; else it comes between two. */
void tracer_event(struct vcpu *vcpu, bool executes, const char *format, ...) format_like(3, 4);
#define trace_event(vcpu, ...)                             \
	do {                                               \
		if (unlikely((vcpu)->machine->tracer))     \
			tracer_event((vcpu), __VA_ARGS__); \
	} while (0)

/* "#PF" for 14; "" where the manuals have none. */
const char *tracer_exception_name(unsigned vector);

#endif
