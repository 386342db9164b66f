/* SPDX-License-Identifier: MIT */
/* Debug registers: APM volume 2, 13.1; SDM volume 3, 17.2. */
#include "base/atomic.h"
#include "x86/event.h"
#include "x86/flags.h"
#include "x86/paging.h"

enum breakpoint_type { BREAK_EXECUTE, BREAK_WRITE, BREAK_PORT, BREAK_ACCESS };

static enum breakpoint_type breakpoint_type(const struct cpu *cpu, unsigned i)
{
	return (enum breakpoint_type)bits_get(cpu->dr7, 16 + 4 * i, 2);
}

static unsigned breakpoint_bytes(const struct cpu *cpu, unsigned i)
{
	static const u8 bytes[] = {1, 2, 8, 4};
	return bytes[bits_get(cpu->dr7, 18 + 4 * i, 2)];
}

static bool breakpoint_is_enabled(const struct cpu *cpu, unsigned i)
{
	return bits_get(cpu->dr7, 2 * i, 2);
}

/* Whether [address, address + bytes) meets the breakpoint's aligned range. */
static bool breakpoint_meets(const struct cpu *cpu, unsigned i, u64 address, u64 bytes)
{
	u64 size = breakpoint_bytes(cpu, i);
	u64 start = cpu->dr[i] & ~(size - 1);
	return address < start + size && start < address + bytes;
}

static void debug_pend(struct cpu *cpu, u64 conditions)
{
	cpu->pending_dr6 |= conditions;
	atomic_or_32(&cpu->pending, PENDING_TRAP);
	cpu_end_block(cpu);
}

void debug_check_data(struct cpu *cpu, u64 linear, unsigned bytes, bool is_write)
{
	for (unsigned i = 0; i < 4; i++) {
		enum breakpoint_type type = breakpoint_type(cpu, i);
		if (!breakpoint_is_enabled(cpu, i) ||
			!(type == BREAK_ACCESS || (type == BREAK_WRITE && is_write)))
			continue;
		if (breakpoint_meets(cpu, i, linear, bytes))
			debug_pend(cpu, BIT(i));
	}
}

void debug_check_port(struct cpu *cpu, u16 port, unsigned bytes)
{
	if (!(cpu->cr4 & CR4_DE))
		return;
	for (unsigned i = 0; i < 4; i++)
		if (breakpoint_is_enabled(cpu, i) && breakpoint_type(cpu, i) == BREAK_PORT &&
			breakpoint_meets(cpu, i, port, bytes))
			debug_pend(cpu, BIT(i));
}

void debug_check_execute(struct cpu *cpu, u64 linear)
{
	u64 met = 0;
	/* Right behind MOV SS and POP SS they are not looked at: SDM volume 3, 6.8.3. */
	if ((cpu->other_flags & RFLAGS_RF) || (cpu->interrupt_shadow & SHADOW_MOV_SS))
		return;
	for (unsigned i = 0; i < 4; i++)
		if (breakpoint_is_enabled(cpu, i) && breakpoint_type(cpu, i) == BREAK_EXECUTE &&
			cpu->dr[i] == linear)
			met |= BIT(i);
	if (!met)
		return;
	cpu->pending_dr6 |= met;
	raise_exception(cpu, EXCEPTION_DB);
}

void debug_after_instruction(struct cpu *cpu, bool tf_was_set)
{
	bool suppressed = cpu->step_suppressed;
	cpu->step_suppressed = 0;
	/* MOV SS and POP SS hold back the trap until after the next instruction. */
	if (tf_was_set && !suppressed && !(cpu->interrupt_shadow & SHADOW_MOV_SS))
		debug_pend(cpu, DR6_BS);
}

void debug_note(struct cpu *cpu)
{
	cpu->dr6 = (cpu->dr6 & ~(u64)0xf) | cpu->pending_dr6;
	cpu->dr7 &= ~DR7_GD;
	debug_drop(cpu);
}

void debug_drop(struct cpu *cpu)
{
	cpu->pending_dr6 = 0;
	if (atomic_load_32(&cpu->pending) & PENDING_TRAP)
		atomic_and_32(&cpu->pending, ~(u32)PENDING_TRAP);
}

void debug_set_dr6(struct cpu *cpu, u64 value)
{
	cpu->dr6 = DR6_RESET | (value & (0xf | DR6_BD | DR6_BS | DR6_BT));
}

void debug_set_dr7(struct cpu *cpu, u64 value)
{
	bool concerns = (value | cpu->dr7) & 0xff;
	cpu->dr7 = (value & 0xffff2bff) | DR7_RESET;
	cpu_mode_changed(cpu);
	if (concerns)
		paging_flush(cpu); /* pages with breakpoints must leave the TLB */
}
