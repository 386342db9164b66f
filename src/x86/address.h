/* SPDX-License-Identifier: MIT */
/*
 * From a decoded memory operand to a linear address, and the registers by location. Included by all semantics.
 */
#ifndef X86_ADDRESS_H
#define X86_ADDRESS_H

#include "x86/access.h"
#include "x86/cpu.h"

#define DEFINE_REGISTER_ACCESS(bits)                                                           \
	static always_inline u##bits reg_get_##bits(const struct cpu *cpu, unsigned location)  \
	{                                                                                      \
		return ((const struct ram_##bits *)((const u8 *)cpu->regs + location))->value; \
	}

DEFINE_REGISTER_ACCESS(8)
DEFINE_REGISTER_ACCESS(16)
DEFINE_REGISTER_ACCESS(32)
DEFINE_REGISTER_ACCESS(64)

static always_inline void reg_set_8(struct cpu *cpu, unsigned location, u8 value)
{
	((struct ram_8 *)((u8 *)cpu->regs + location))->value = value;
}

static always_inline void reg_set_16(struct cpu *cpu, unsigned location, u16 value)
{
	((struct ram_16 *)((u8 *)cpu->regs + location))->value = value;
}

/* A 32-bit result clears the upper half. */
static always_inline void reg_set_32(struct cpu *cpu, unsigned location, u32 value)
{
	((struct ram_64 *)((u8 *)cpu->regs + location))->value = value;
}

static always_inline void reg_set_64(struct cpu *cpu, unsigned location, u64 value)
{
	((struct ram_64 *)((u8 *)cpu->regs + location))->value = value;
}

/* The sum, before the address size cuts it. */
static always_inline u64 address_sum(const struct cpu *cpu, const struct insn *insn)
{
	return reg_get_64(cpu, insn->base) + (reg_get_64(cpu, insn->index) << insn->scale) +
		(u64)(i64)insn->displacement;
}

/* What LEA computes: cut to the address size, no segment. */
static always_inline u64 address_effective(const struct cpu *cpu, const struct insn *insn)
{
	u64 sum = address_sum(cpu, insn);
	return insn->address_size == SIZE_64	? sum
		: insn->address_size == SIZE_32 ? (u32)sum
						: (u16)sum;
}

/*
 * Segment checks (limit, type, null; real-mode limits; in 64-bit code only FS's and GS's base) for `bytes` at offset:
 * the linear address, or raises #GP(0), #SS(0) when `segment` is SS. Canonicality is checked by paging.
 */
u64 segment_linear(
	struct cpu *cpu, unsigned segment, u64 offset, unsigned bytes, enum access_kind kind);

/* The linear address of the insn's memory operand of `bytes`. */
static always_inline u64 address_linear(
	struct cpu *cpu, const struct insn *insn, unsigned bytes, enum access_kind kind)
{
	if (likely(insn->flags & INSN_FLAT))
		return address_sum(cpu, insn) + cpu->segments[insn->segment].base;
	return segment_linear(cpu, insn->segment, address_effective(cpu, insn), bytes, kind);
}

/*
 * The same, `offset` bytes into or before the operand (bit tests with register offsets, far pointers): offset is added
 * to the effective address before it is cut to the address size.
 */
static always_inline u64 address_linear_at(
	struct cpu *cpu, const struct insn *insn, i64 offset, unsigned bytes, enum access_kind kind)
{
	u64 sum = address_sum(cpu, insn) + (u64)offset;
	if (likely(insn->flags & INSN_FLAT))
		return sum + cpu->segments[insn->segment].base;
	sum = insn->address_size == SIZE_64	? sum
		: insn->address_size == SIZE_32 ? (u32)sum
						: (u16)sum;
	return segment_linear(cpu, insn->segment, sum, bytes, kind);
}

/* Stack: the linear address of `bytes` at offset rsp (cut to the stack size), in SS. */
static always_inline u64 address_stack(
	struct cpu *cpu, u64 rsp, unsigned bytes, enum access_kind kind)
{
	if (likely(cpu->code_size == SIZE_64))
		return rsp;
	return segment_linear(
		cpu, SEGMENT_SS, cpu->stack_size == SIZE_32 ? (u32)rsp : (u16)rsp, bytes, kind);
}

/* RSP moved by delta, keeping the bits that the stack size does not reach. */
static always_inline void stack_adjust(struct cpu *cpu, i64 delta)
{
	u64 rsp = cpu->regs[RSP] + (u64)delta;
	if (likely(cpu->stack_size == SIZE_64))
		cpu->regs[RSP] = rsp;
	else if (cpu->stack_size == SIZE_32)
		cpu->regs[RSP] = (u32)rsp;
	else
		reg_set_16(cpu, RSP * 8, (u16)rsp);
}

#endif
