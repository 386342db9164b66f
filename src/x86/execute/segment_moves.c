/* SPDX-License-Identifier: MIT */
/* MOV, PUSH and POP of segment registers, LDS and its kin, LAR, LSL, VERR, VERW, ARPL. APM volume 3. */
#include "x86/execute/privilege.h"
#include "x86/execute/stack.h"
#include "x86/segments.h"

/* A load of SS keeps interrupts and traps off for one instruction: APM volume 2, 8.3.2. */
static void load_segment(struct cpu *cpu, enum segment_name name, u16 selector)
{
	segment_load(cpu, name, selector);
	if (name == SEGMENT_SS) {
		cpu->interrupt_shadow = SHADOW_MOV_SS;
		cpu_end_block(cpu);
	}
}

HANDLER(mov_ES)
{
	unsigned name = (insn->modrm >> 3) & 7;
	if (name > SEGMENT_GS)
		raise_ud(cpu);
	rm_set_selector(cpu, insn, cpu->segments[name].selector);
}

HANDLER(mov_SE)
{
	unsigned name = (insn->modrm >> 3) & 7;
	if (name > SEGMENT_GS || name == SEGMENT_CS)
		raise_ud(cpu);
	load_segment(cpu, name, rm_get_selector(cpu, insn));
}

/* 06 0e 16 1e and 0f a0 a8: bits 3 and 4 of the opcode, past the first four. */
static unsigned segment_of_opcode(const struct insn *insn)
{
	unsigned low = (insn->opcode >> 3) & 3;
	return insn->opcode >= 0xa0 ? SEGMENT_FS + (low & 1) : low;
}

HANDLER(push_S)
{
	u16 selector = cpu->segments[segment_of_opcode(insn)].selector;
	if (insn->operand_size == SIZE_64) {
		stack_push_64(cpu, selector);
	} else if (insn->operand_size == SIZE_16) {
		stack_push_16(cpu, selector);
	} else {
		/* Only two of the four bytes are written. */
		u64 rsp = cpu->regs[RSP] - 4;
		store_16(cpu, address_stack(cpu, rsp, 4, ACCESS_WRITE), selector);
		stack_adjust(cpu, -4);
	}
}

HANDLER(pop_S)
{
	unsigned name = segment_of_opcode(insn);
	u8 size = insn->operand_size;
	u16 selector;
	/* As wide as the operand is the step, not the read. */
	if (size == SIZE_64)
		selector = (u16)stack_top_64(cpu);
	else
		selector = stack_top_16(cpu);
	u8 stack_size = cpu->stack_size;
	u64 rsp = cpu->regs[RSP];
	load_segment(cpu, name, selector);
	/* POP SS steps by the stack size that was. */
	rsp += 1u << size;
	if (stack_size == SIZE_64)
		cpu->regs[RSP] = rsp;
	else if (stack_size == SIZE_32)
		cpu->regs[RSP] = (u32)rsp;
	else
		reg_set_16(cpu, RSP * 8, (u16)rsp);
}

/* The far pointer in memory: offset, then selector. */
static void load_far_pointer(struct cpu *cpu, const struct insn *insn, enum segment_name name)
{
	unsigned bytes = 1u << insn->operand_size;
	u64 offset;
	u64 linear = address_linear(cpu, insn, bytes, ACCESS_READ);
	if (bytes == 2)
		offset = load_16(cpu, linear);
	else if (bytes == 4)
		offset = load_32(cpu, linear);
	else
		offset = load_64(cpu, linear);
	u16 selector = load_16(cpu, address_linear_at(cpu, insn, bytes, 2, ACCESS_READ));
	load_segment(cpu, name, selector);
	reg_set_sized(cpu, insn->reg, insn->operand_size, offset);
}

#define DEFINE_LOAD_FAR(name, segment)                \
	HANDLER(name)                                 \
	{                                             \
		load_far_pointer(cpu, insn, segment); \
	}

DEFINE_LOAD_FAR(les, SEGMENT_ES)
DEFINE_LOAD_FAR(lds, SEGMENT_DS)
DEFINE_LOAD_FAR(lss, SEGMENT_SS)
DEFINE_LOAD_FAR(lfs, SEGMENT_FS)
DEFINE_LOAD_FAR(lgs, SEGMENT_GS)

static void set_zf(struct cpu *cpu, bool value)
{
	cpu->arithmetic_flags &= (packed_flags)~PACKED_ZF;
	if (value)
		cpu->arithmetic_flags |= PACKED_ZF;
}

HANDLER(lar)
{
	u32 rights;
	require_protected(cpu);
	bool ok = segment_access_rights(cpu, rm_get_selector(cpu, insn), &rights);
	if (ok)
		reg_set_sized(cpu, insn->reg, insn->operand_size, rights);
	set_zf(cpu, ok);
}

HANDLER(lsl)
{
	u32 limit;
	require_protected(cpu);
	bool ok = segment_limit(cpu, rm_get_selector(cpu, insn), &limit);
	if (ok)
		reg_set_sized(cpu, insn->reg, insn->operand_size, limit);
	set_zf(cpu, ok);
}

HANDLER(verr)
{
	require_protected(cpu);
	set_zf(cpu, segment_verify(cpu, rm_get_selector(cpu, insn), false));
}

HANDLER(verw)
{
	require_protected(cpu);
	set_zf(cpu, segment_verify(cpu, rm_get_selector(cpu, insn), true));
}

HANDLER(arpl)
{
	u16 source = reg_get_16(cpu, insn->reg);
	u16 selector;

	require_protected(cpu);
	if (insn->flags & INSN_MEMORY) {
		/* A read; the write follows only where there is something to change. */
		selector = memory_get_16(cpu, insn);
	} else {
		selector = rm_get_16(cpu, insn);
	}
	bool raises = (selector & 3) < (source & 3);
	if (raises) {
		selector = (u16)((selector & ~3) | (source & 3));
		if (insn->flags & INSN_MEMORY)
			memory_set_16(cpu, insn, selector);
		else
			reg_set_16(cpu, insn->rm, selector);
	}
	set_zf(cpu, raises);
}
