/* SPDX-License-Identifier: MIT */
/* A processor in a machine: the architectural state, its APIC, its engine's part, and its place to sleep. */
#ifndef CORE_VCPU_H
#define CORE_VCPU_H

#include "core/apic.h"
#include "core/host.h"
#include "core/state.h"
#include "x86/cpu.h"

struct machine;

struct vcpu {
	struct cpu cpu;
	struct machine *machine;
	unsigned index; /* also its initial APIC id */
	struct apic apic;
	void *engine;		 /* the engine's part */
	struct host_signal wake; /* raised when pending changes while it sleeps */
	/*
	 * Where what comes from outside is put, bits of enum cpu_pending, atomic: &cpu.pending; or a word of an engine's that chooses
	 * itself when they reach cpu.pending (PENDING_INTERRUPT being a level).
	 */
	u32 *signals;
	u64 insns_timed; /* CLOCK_INSTRUCTIONS: the engine's count when the clock was last advanced */
	u32 pauses;
	u64 tsc_offset; /* guest TSC = clock_tsc + offset (wrapping) */
	struct state_object state;
	u32 is_parked; /* atomic: it stands still for machine_pause */
	/*
	 * A debugger's: called before each instruction, with RIP at it; true: end the run before it. Slow: NULL when nobody
	 * steps or has breakpoints. Set only while the machine is paused.
	 */
	bool (*before_insn)(struct vcpu *vcpu, void *context);
	void *before_insn_context;
};

/* Prepares cpu, environment and state; memory for it comes from the caller, zeroed. */
void vcpu_init(struct vcpu *vcpu, struct machine *machine, unsigned index);

/*
 * The vCPU's life on its own thread: runs until the machine ends, sleeping while idle. In CLOCK_INSTRUCTIONS it also
 * drives the clock and the events.
 */
void vcpu_run(struct vcpu *vcpu);
/* Runs `insns` more instructions under CLOCK_INSTRUCTIONS, exactly, events and idle leaps included. For tests. False: the machine has ended. */
bool vcpu_run_insns(struct vcpu *vcpu, u64 insns);

/* Makes it look at pending soon, asleep or not. From any thread. */
void vcpu_kick(struct vcpu *vcpu);

extern const struct state_table vcpu_state;

static inline struct vcpu *vcpu_of(struct cpu *cpu)
{
	return container_of(cpu, struct vcpu, cpu);
}

#endif
