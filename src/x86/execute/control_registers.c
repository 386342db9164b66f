/* SPDX-License-Identifier: MIT */
/* MOV to and from control and debug registers, LMSW, SMSW, CLTS, XGETBV, XSETBV, INVLPG, INVPCID. APM volume 3. */
#include "x86/environment.h"
#include "x86/exceptions.h"
#include "x86/execute/privilege.h"
#include "x86/fpu.h"
#include "x86/model.h"
#include "x86/paging.h"

/* These registers' operand is as wide as a linear address, whatever the prefixes say. */
static u64 operand_get(struct cpu *cpu, const struct insn *insn)
{
	return cpu_is_64_bit(cpu) ? reg_get_64(cpu, insn->rm) : reg_get_32(cpu, insn->rm);
}

static void operand_set(struct cpu *cpu, const struct insn *insn, u64 value)
{
	if (cpu_is_64_bit(cpu))
		reg_set_64(cpu, insn->rm, value);
	else
		reg_set_32(cpu, insn->rm, (u32)value);
}

HANDLER(mov_RC)
{
	u64 value;

	require_cpl0(cpu);
	switch (insn->reg) {
	case 0:
		value = cpu->cr0;
		break;
	case 2:
		value = cpu->cr2;
		break;
	case 3:
		value = cpu->cr3;
		break;
	case 4:
		value = cpu->cr4;
		break;
	case 8:
		value = cpu->environment->task_priority_get(cpu);
		break;
	default:
		raise_ud(cpu);
	}
	operand_set(cpu, insn, value);
}

HANDLER(mov_CR)
{
	u64 value = operand_get(cpu, insn);

	require_cpl0(cpu);
	switch (insn->reg) {
	case 0:
		control_set_cr0(cpu, value);
		break;
	case 2:
		cpu->cr2 = value;
		break;
	case 3:
		control_set_cr3(cpu, value);
		break;
	case 4:
		control_set_cr4(cpu, value);
		break;
	case 8:
		if (value >> 4)
			raise_gp(cpu, 0);
		cpu->environment->task_priority_set(cpu, (u8)value);
		break;
	default:
		raise_ud(cpu);
	}
	cpu_end_block(cpu);
}

/* DR4 and DR5 are DR6 and DR7 unless CR4.DE is set; any access faults while DR7.GD is. APM volume 2, 13.1.1. */
static unsigned debug_register(struct cpu *cpu, const struct insn *insn)
{
	unsigned number = insn->reg;

	if (number > 7 || ((number & ~1u) == 4 && (cpu->cr4 & CR4_DE)))
		raise_ud(cpu);
	require_cpl0(cpu);
	if (cpu->dr7 & DR7_GD) {
		cpu->pending_dr6 |= DR6_BD;
		raise_exception(cpu, EXCEPTION_DB);
	}
	return (number & ~1u) == 4 ? number + 2 : number;
}

HANDLER(mov_RD)
{
	unsigned number = debug_register(cpu, insn);
	operand_set(cpu, insn, number < 4 ? cpu->dr[number] : number == 6 ? cpu->dr6 : cpu->dr7);
}

HANDLER(mov_DR)
{
	unsigned number = debug_register(cpu, insn);
	u64 value = operand_get(cpu, insn);

	if (number >= 6 && (value >> 32))
		raise_gp(cpu, 0);
	if (number == 6) {
		debug_set_dr6(cpu, value);
	} else if (number == 7) {
		debug_set_dr7(cpu, value);
	} else {
		cpu->dr[number] = value;
		if (cpu->debug_active)
			paging_flush(cpu); /* pages with breakpoints must leave the TLB */
	}
	cpu_end_block(cpu);
}

HANDLER(smsw)
{
	rm_set_selector(cpu, insn, cpu->cr0);
}

/* PE, MP, EM and TS; PE can be set only. */
HANDLER(lmsw)
{
	require_cpl0(cpu);
	u64 value = rm_get_selector(cpu, insn) & 0xf;
	control_set_cr0(cpu, (cpu->cr0 & ~(u64)0xe) | value);
}

HANDLER(clts)
{
	require_cpl0(cpu);
	cpu->cr0 &= ~CR0_TS;
	cpu_end_block(cpu);
}

static void require_osxsave(struct cpu *cpu)
{
	if (!(cpu->cr4 & CR4_OSXSAVE))
		raise_ud(cpu);
}

static void set_edx_eax(struct cpu *cpu, u64 value)
{
	cpu->regs[RAX] = (u32)value;
	cpu->regs[RDX] = value >> 32;
}

static u64 get_edx_eax(const struct cpu *cpu)
{
	return (u64)(u32)cpu->regs[RDX] << 32 | (u32)cpu->regs[RAX];
}

/* ECX 1: the components in use, as XSAVEOPT would find them; all that may be is always right. */
HANDLER(xgetbv)
{
	u32 index = (u32)cpu->regs[RCX];
	require_osxsave(cpu);
	if (index > 1)
		raise_gp(cpu, 0);
	set_edx_eax(cpu, cpu->xcr0);
}

HANDLER(xsetbv)
{
	u64 value = get_edx_eax(cpu);
	require_osxsave(cpu);
	require_cpl0(cpu);
	if ((u32)cpu->regs[RCX] != 0 || !fpu_xcr0_is_valid(cpu, value))
		raise_gp(cpu, 0);
	cpu->xcr0 = value;
	cpu_end_block(cpu);
}

/* A non-canonical address is no fault here: nothing is translated. */
HANDLER(invlpg)
{
	require_cpl0(cpu);
	u64 linear = address_effective(cpu, insn) + cpu->segments[insn->segment].base;
	paging_invalidate_page(cpu, cpu_is_64_bit(cpu) ? linear : (u32)linear);
}

/* APM volume 3, INVPCID: the descriptor is a PCID (12 bits, the rest reserved) and an address. */
HANDLER(invpcid)
{
	u64 descriptor[2];
	u64 type = cpu_is_64_bit(cpu) ? reg_get_64(cpu, insn->reg) : reg_get_32(cpu, insn->reg);

	require_cpl0(cpu);
	u128 memory = load_128(cpu, address_linear(cpu, insn, 16, ACCESS_READ));
	descriptor[0] = (u64)memory;
	descriptor[1] = (u64)(memory >> 64);
	bool uses_pcid = type < 2;
	if (type > 3 || (descriptor[0] >> 12) ||
		(uses_pcid && descriptor[0] && !(cpu->cr4 & CR4_PCIDE)) ||
		(type == 0 && !address_is_canonical(descriptor[1])))
		raise_gp(cpu, 0);
	paging_invalidate_pcid(cpu, (unsigned)type, descriptor[0], descriptor[1]);
}
