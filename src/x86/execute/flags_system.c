/* SPDX-License-Identifier: MIT */
/* PUSHF, POPF, CLI, STI, STAC, CLAC, HLT. APM volume 3. */
#include "x86/environment.h"
#include "x86/execute/privilege.h"
#include "x86/execute/stack.h"
#include "x86/model.h"
#include "x86/modes.h"

HANDLER(pushf)
{
	u64 flags = flags_get(cpu) & ~(u64)(RFLAGS_VM | RFLAGS_RF);
	require_iopl_8086(cpu);
	if (insn->operand_size == SIZE_64)
		stack_push_64(cpu, flags);
	else if (insn->operand_size == SIZE_32)
		stack_push_32(cpu, (u32)flags);
	else
		stack_push_16(cpu, (u16)flags);
}

/* What POPF may change at this privilege. RF it clears. */
static u64 popf_mask(const struct cpu *cpu)
{
	u64 mask = RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID;
	if (cpu->cpl <= cpu_iopl(cpu) || cpu_is_virtual_8086(cpu))
		mask |= RFLAGS_IF;
	if (cpu->cpl == 0)
		mask |= RFLAGS_IOPL;
	return mask;
}

HANDLER(popf)
{
	u64 mask = popf_mask(cpu), flags, old = flags_get(cpu);

	require_iopl_8086(cpu);
	if (insn->operand_size == SIZE_64) {
		flags = stack_top_64(cpu);
	} else if (insn->operand_size == SIZE_32) {
		flags = stack_top_32(cpu);
	} else {
		flags = stack_top_16(cpu);
		mask &= 0xffff;
	}
	stack_adjust(cpu, 1 << insn->operand_size);
	flags_set(cpu, (flags & mask) | (old & ~mask & ~(u64)RFLAGS_RF));
	if ((flags_get(cpu) ^ old) & RFLAGS_AC)
		cpu_privilege_changed(cpu);
	if ((flags_get(cpu) ^ old) & (RFLAGS_IF | RFLAGS_TF))
		cpu_end_block(cpu);
}

static void require_iopl(struct cpu *cpu)
{
	if (unlikely(cpu->cpl > cpu_iopl(cpu)))
		raise_gp(cpu, 0);
}

HANDLER(cli)
{
	require_iopl(cpu);
	cpu->other_flags &= ~(u32)RFLAGS_IF;
}

HANDLER(sti)
{
	require_iopl(cpu);
	if (cpu->other_flags & RFLAGS_IF)
		return;
	cpu->other_flags |= RFLAGS_IF;
	cpu->interrupt_shadow = SHADOW_STI;
	cpu_end_block(cpu);
}

/* SDM volume 2, STAC: #UD, not #GP, outside CPL 0. */
static void set_ac(struct cpu *cpu, u32 value)
{
	if (cpu->cpl != 0)
		raise_ud(cpu);
	if ((cpu->other_flags & RFLAGS_AC) == value)
		return;
	cpu->other_flags ^= RFLAGS_AC;
	cpu_privilege_changed(cpu);
}

HANDLER(stac)
{
	set_ac(cpu, RFLAGS_AC);
}

HANDLER(clac)
{
	set_ac(cpu, 0);
}

HANDLER(hlt)
{
	require_cpl0(cpu);
	cpu->activity = CPU_HALTED;
	cpu_end_block(cpu);
	cpu->environment->activity_changed(cpu);
}

/*
 * MONITOR and MWAIT (no model offers them yet): APM volume 3. An MWAIT may end at any time, and this one does at once, so a
 * monitor has nothing to remember; only the faults are to be seen.
 */
static void require_monitor_privilege(struct cpu *cpu)
{
	if (cpu->cpl != 0)
		raise_ud(cpu);
}

HANDLER(monitor)
{
	u64 offset = cpu->regs[RAX];

	require_monitor_privilege(cpu);
	if ((u32)cpu->regs[RCX])
		raise_gp(cpu, 0);
	if (insn->address_size != SIZE_64)
		offset = insn->address_size == SIZE_32 ? (u32)offset : (u16)offset;
	load_8(cpu, segment_linear(cpu, insn->segment, offset, 1, ACCESS_READ));
}

HANDLER(mwait)
{
	require_monitor_privilege(cpu);
	if ((u32)cpu->regs[RCX] & ~(u32)1)
		raise_gp(cpu, 0);
}
