/* SPDX-License-Identifier: MIT */
/* Between instructions: what is taken, by priority. APM volume 2, 8.5; SDM volume 3, 6.9. */
#include "base/atomic.h"
#include "x86/environment.h"
#include "x86/event.h"
#include "x86/flags.h"

static void pending_clear(struct cpu *cpu, u32 bits)
{
	atomic_and_32(&cpu->pending, ~bits);
}

static bool take_trap(struct cpu *cpu)
{
	struct event event = {.vector = EXCEPTION_DB, .kind = EVENT_EXCEPTION};

	if (cpu->interrupt_shadow & SHADOW_MOV_SS)
		return false;
	if (!cpu->pending_dr6) {
		pending_clear(cpu, PENDING_TRAP);
		return false;
	}
	cpu->activity = CPU_RUNNING;
	debug_note(cpu);
	event_deliver_safely(cpu, &event);
	return true;
}

static bool take_init(struct cpu *cpu)
{
	/* A SIPI that has come since stays: whoever signals INIT has taken back an earlier one. */
	pending_clear(cpu, PENDING_INIT | PENDING_NMI | PENDING_TRAP);
	/* APM volume 2, 14.1: the bootstrap processor starts again, others wait for a SIPI. */
	cpu_init(cpu, cpu->apic_id == 0);
	cpu->environment->activity_changed(cpu);
	return true;
}

static bool take_start_up(struct cpu *cpu)
{
	pending_clear(cpu, PENDING_SIPI);
	if (cpu->activity != CPU_WAIT_FOR_SIPI)
		return false;
	cpu_start_up(cpu, cpu->sipi_vector);
	return true;
}

static bool take_nmi(struct cpu *cpu)
{
	struct event event = {.vector = EXCEPTION_NMI, .kind = EVENT_EXTERNAL};

	if (cpu->nmi_blocked || (cpu->interrupt_shadow & SHADOW_MOV_SS))
		return false;
	pending_clear(cpu, PENDING_NMI);
	cpu->activity = CPU_RUNNING;
	cpu->nmi_blocked = 1;
	event_deliver_safely(cpu, &event);
	return true;
}

static bool take_interrupt(struct cpu *cpu)
{
	struct event event = {.kind = EVENT_EXTERNAL};
	int vector;

	if (!(cpu->other_flags & RFLAGS_IF) || cpu->interrupt_shadow)
		return false;
	vector = cpu->environment->interrupt_acknowledge(cpu);
	if (vector < 0)
		return false;
	cpu->activity = CPU_RUNNING;
	event.vector = (u8)vector;
	event_deliver_safely(cpu, &event);
	return true;
}

bool interrupts_take(struct cpu *cpu)
{
	u32 pending = atomic_load_32(&cpu->pending);

	if (pending & PENDING_INIT)
		return take_init(cpu);
	if ((pending & PENDING_SIPI) && take_start_up(cpu))
		return true;
	if (cpu->activity == CPU_SHUTDOWN || cpu->activity == CPU_WAIT_FOR_SIPI)
		return false;
	if ((pending & PENDING_TRAP) && take_trap(cpu))
		return true;
	if ((pending & PENDING_NMI) && take_nmi(cpu))
		return true;
	return (pending & PENDING_INTERRUPT) && take_interrupt(cpu);
}

bool interrupts_wake(const struct cpu *cpu)
{
	u32 pending = atomic_load_32(&cpu->pending);
	u32 waking = PENDING_STOP | PENDING_ENGINE | PENDING_INIT | PENDING_SIPI;

	if (cpu->activity == CPU_HALTED) {
		waking |= PENDING_TRAP;
		if (!cpu->nmi_blocked)
			waking |= PENDING_NMI;
		if (cpu->other_flags & RFLAGS_IF)
			waking |= PENDING_INTERRUPT;
	}
	return pending & waking;
}
