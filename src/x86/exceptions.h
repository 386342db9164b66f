/* SPDX-License-Identifier: MIT */
/*
 * Delivery of exceptions and interrupts through the IVT, IDT gates, stack switches and IST: APM volume 2
 * chapter 8, SDM volume 3 chapter 6.
 */
#ifndef X86_EXCEPTIONS_H
#define X86_EXCEPTIONS_H

#include "x86/cpu.h"
#include "x86/raise.h"

enum event_kind {
	EVENT_EXTERNAL,	  /* INTR, NMI */
	EVENT_EXCEPTION,  /* a fault or trap of the processor */
	EVENT_SOFTWARE,	  /* INT n: gate DPL is checked */
	EVENT_SOFTWARE_EXCEPTION, /* INT3, INTO */
	EVENT_PRIVILEGED, /* INT1 (ICEBP): no DPL check */
};

/*
 * Delivers one event; cpu->regs[RIP] is what gets pushed. May raise (a fault during delivery), with the state
 * before delivery intact. Instructions INT n, INT3 and INTO call it themselves.
 */
void event_deliver(
	struct cpu *cpu, u8 vector, enum event_kind kind, bool has_error_code, u32 error_code);

/*
 * For engines: what a caught unwinding asks for. Delivers cpu->fault, RIP being the faulting instruction's; combines
 * contributory faults into #DF; on a triple fault the activity becomes CPU_SHUTDOWN. Never raises. The caller must not
 * be within the setjmp that catches cpu->unwind: it sets its own.
 */
void exception_deliver(struct cpu *cpu);

/*
 * For engines, between instructions when cpu->pending is not zero: takes what the processor would take now (debug
 * trap, INIT, SIPI, NMI, INTR by priority, shadows and IF), and updates pending. Never raises. True when something was
 * taken or changed.
 */
bool interrupts_take(struct cpu *cpu);

/* Debug: called by paging and the string and port semantics when cpu->debug_active is not zero. */
void debug_check_data(struct cpu *cpu, u64 linear, unsigned bytes, bool is_write);
void debug_check_port(struct cpu *cpu, u16 port, unsigned bytes);
/* Instruction breakpoints: before an instruction runs; raises #DB unless RF. */
void debug_check_execute(struct cpu *cpu, u64 linear);

#endif
