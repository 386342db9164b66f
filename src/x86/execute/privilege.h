/* SPDX-License-Identifier: MIT */
/* What system instructions check first. */
#ifndef X86_EXECUTE_PRIVILEGE_H
#define X86_EXECUTE_PRIVILEGE_H

#include "x86/execute/operands.h"

/* CPL is 3 in virtual-8086 mode and 0 in real mode. */
static always_inline void require_cpl0(struct cpu *cpu)
{
	if (unlikely(cpu->cpl != 0))
		raise_gp(cpu, 0);
}

/* Instructions that real and virtual-8086 mode do not know. */
static always_inline void require_protected(struct cpu *cpu)
{
	if (unlikely(cpu_is_8086(cpu)))
		raise_ud(cpu);
}

/* CLI, STI, PUSHF, POPF in virtual-8086 mode. */
static always_inline void require_iopl_8086(struct cpu *cpu)
{
	if (unlikely(cpu_is_virtual_8086(cpu) && cpu_iopl(cpu) < 3))
		raise_gp(cpu, 0);
}

/* A 16-bit operand, register or memory. */
static always_inline u16 rm_get_selector(struct cpu *cpu, const struct insn *insn)
{
	return insn->flags & INSN_MEMORY ? memory_get_16(cpu, insn) : rm_get_16(cpu, insn);
}

/* To memory 16 bits; to a register, the operand size, zero-extended. */
static always_inline void rm_set_selector(struct cpu *cpu, const struct insn *insn, u64 value)
{
	if (insn->flags & INSN_MEMORY)
		memory_set_16(cpu, insn, (u16)value);
	else if (insn->operand_size == SIZE_16)
		reg_set_16(cpu, insn->rm, (u16)value);
	else if (insn->operand_size == SIZE_32)
		reg_set_32(cpu, insn->rm, (u32)value);
	else
		reg_set_64(cpu, insn->rm, value);
}

static always_inline void reg_set_sized(
	struct cpu *cpu, unsigned location, enum insn_size size, u64 value)
{
	if (size == SIZE_16)
		reg_set_16(cpu, location, (u16)value);
	else if (size == SIZE_32)
		reg_set_32(cpu, location, (u32)value);
	else
		reg_set_64(cpu, location, value);
}

#endif
