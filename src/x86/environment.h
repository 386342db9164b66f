/* SPDX-License-Identifier: MIT */
/*
 * What a processor asks of the machine around it. One table, filled by core/vcpu.c (and by tests); the processor
 * library knows nothing else of the outside. Functions may be called only from the vCPU's own thread, and must not
 * unwind: what can fail says so in its result.
 */
#ifndef X86_ENVIRONMENT_H
#define X86_ENVIRONMENT_H

#include "base/types.h"

struct cpu;

enum page_use { PAGE_READ, PAGE_WRITE, PAGE_EXECUTE };

struct environment {
	/*
	 * The host address of the RAM page at `physical` (page aligned), or NULL when there is no RAM: then accesses
	 * go through physical_read and _write. *watched is set when writes to the page must be announced by
	 * code_written: it holds decoded code. PAGE_WRITE: it will be written from now on, without more questions unless watched.
	 */
	u8 *(*ram_page)(struct cpu *cpu, u64 physical, enum page_use use, bool *watched);
	/* Physical accesses that are not RAM; within one page, 1 to 8 bytes, any alignment. */
	u64 (*physical_read)(struct cpu *cpu, u64 physical, unsigned bytes);
	void (*physical_write)(struct cpu *cpu, u64 physical, unsigned bytes, u64 value);
	/* A watched page is about to be written by this vCPU (or has been), `bytes` from physical on. */
	void (*code_written)(struct cpu *cpu, u64 physical, u64 bytes);

	u32 (*port_read)(struct cpu *cpu, u16 port, unsigned bytes);
	void (*port_write)(struct cpu *cpu, u16 port, unsigned bytes, u32 value);
	/* MSRs that are the machine's: APIC base, x2APIC, TSC deadline, kvmclock. False: no such, or a bad value: #GP. */
	bool (*msr_read)(struct cpu *cpu, u32 index, u64 *value);
	bool (*msr_write)(struct cpu *cpu, u32 index, u64 value);

	/* The highest-priority interrupt, acknowledged: its vector, or -1 when the request has gone away. */
	int (*interrupt_acknowledge)(struct cpu *cpu);
	/* CR8: bits 7-4 of the local APIC's task priority. */
	u8 (*task_priority_get)(struct cpu *cpu);
	void (*task_priority_set)(struct cpu *cpu, u8 priority);

	u64 (*tsc_read)(struct cpu *cpu);
	/* Adds to it, without losing the time that this takes. */
	void (*tsc_move)(struct cpu *cpu, u64 by);
	/* 64 random bits; false when the source has none (RDRAND clears CF). */
	bool (*random)(struct cpu *cpu, u64 *value);
	/* A leaf of 0x40000000..0x400000ff (hypervisor); false: the model's answer (zero) is given. */
	bool (*cpuid)(struct cpu *cpu, u32 leaf, u32 subleaf, u32 result[4]);
	/* The processor has halted or shut down; the engine will ask the machine what next. */
	void (*activity_changed)(struct cpu *cpu);
	/* PAUSE: software waits for another processor. */
	void (*pause)(struct cpu *cpu);
	/* FERR#: an unmasked x87 exception with CR0.NE clear (PC wiring: IRQ 13). */
	void (*fpu_error)(struct cpu *cpu);
};

#endif
