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
	EVENT_EXTERNAL,		  /* INTR, NMI */
	EVENT_EXCEPTION,	  /* a fault or trap of the processor */
	EVENT_SOFTWARE,		  /* INT n: gate DPL is checked */
	EVENT_SOFTWARE_EXCEPTION, /* INT3, INTO */
	EVENT_PRIVILEGED,	  /* INT1 (ICEBP): no DPL check */
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

/*
 * For whoever lets an idle processor sleep, after interrupts_take has left it idle: would it find something to do now? What is
 * pending but masked (an interrupt, IF being clear) does not count. From the vCPU's own thread.
 */
bool interrupts_wake(const struct cpu *cpu);

/* Debug: called by paging and the string and port semantics when cpu->debug_active is not zero. */
void debug_check_data(struct cpu *cpu, u64 linear, unsigned bytes, bool is_write);
void debug_check_port(struct cpu *cpu, u16 port, unsigned bytes);
/* Instruction breakpoints: before an instruction runs; raises #DB unless RF. */
void debug_check_execute(struct cpu *cpu, u64 linear);

#define DR6_RESET ((u64)0xffff0ff0)
#define DR7_RESET ((u64)0x400)

/* MOV to DR6 and DR7: upper halves have been checked. Flushes what breakpoints concern. */
void debug_set_dr6(struct cpu *cpu, u64 value);
void debug_set_dr7(struct cpu *cpu, u64 value);

/*
 * For engines. While RFLAGS.TF is set before an instruction or cpu->debug_active is not zero, they run one instruction
 * at a time: debug_check_execute(cpu, linear address of RIP) before (within the setjmp), and afterwards, if it has
 * completed, debug_after_instruction with what TF was before. That notes the trap in pending_dr6 and PENDING_TRAP;
 * interrupts_take delivers it.
 */
void debug_after_instruction(struct cpu *cpu, bool tf_was_set);

/*
 * For engines. An instruction that casts a shadow (STI, MOV SS, POP SS) leaves cpu->interrupt_shadow non-zero and ends
 * its block. With it non-zero, call interrupts_take as always when something is pending, then run exactly one instruction,
 * and if that completed, call interrupts_shadow_step with what the shadow was before it (a second shadow right behind
 * the first is none: APM volume 2, 8.5). A faulting one needs no call: exception_deliver ends the shadow.
 * RFLAGS.RF, which IRET may set, is the engine's to clear when the next instruction starts.
 */
static always_inline void interrupts_shadow_step(struct cpu *cpu, u8 shadow_before)
{
	if (shadow_before)
		cpu->interrupt_shadow = SHADOW_NONE;
}

#endif
