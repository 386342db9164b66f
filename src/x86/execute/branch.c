/* SPDX-License-Identifier: MIT */
/*
 * Near JMP, Jcc, CALL, RET, LOOP, JCXZ, and BOUND. A target must be canonical in 64-bit code and within CS's limit
 * elsewhere: #GP(0) of the branch itself, before anything has changed. A 16-bit operand size cuts the target, in
 * 64-bit code, too (APM volume 3, near branches; Intel's processors ignore the prefix there).
 */
#include "x86/execute/operands.h"
#include "x86/execute/stack.h"
#include "x86/paging.h"

/* The target, cut to the operand size, if it can be fetched from. */
static always_inline u64 branch_check(struct cpu *cpu, u64 target, enum insn_size size)
{
	if (likely(size == SIZE_64)) {
		if (unlikely(!address_is_canonical(target)))
			raise_gp(cpu, 0);
		return target;
	}
	target = size == SIZE_32 ? (u32)target : (u16)target;
	if (!cpu_is_64_bit(cpu) && target > cpu->segments[SEGMENT_CS].limit)
		raise_gp(cpu, 0);
	return target;
}

static always_inline u64 branch_relative(struct cpu *cpu, const struct insn *insn)
{
	return branch_check(cpu, cpu->regs[RIP] + insn->immediate, insn->operand_size);
}

/* ---- JMP, CALL, RET ------------------------------------------------------------------------------ */

#define DEFINE_CALLING(name, bits, to)                                                           \
	static no_inline void name##_slow(struct cpu *cpu, const struct insn *insn)              \
	{                                                                                        \
		call_##bits(cpu, to);                                                            \
	}                                                                                        \
	HANDLER(name)                                                                            \
	{                                                                                        \
		void *at = bits == 64 ? stack_hit(cpu, cpu->regs[RSP] - 8, ACCESS_WRITE) : NULL; \
		if (likely(at)) {                                                                \
			u64 target = to;                                                         \
			ram_store_64(at, cpu->regs[RIP]);                                        \
			cpu->regs[RIP] = branch_check(cpu, target, SIZE_##bits);                 \
			cpu->regs[RSP] -= 8;                                                     \
		} else {                                                                         \
			name##_slow(cpu, insn);                                                  \
		}                                                                                \
	}

#define DEFINE_BRANCHES(bits)                                                                      \
	HANDLER(jmp_J_##bits)                                                                      \
	{                                                                                          \
		u64 target = cpu->regs[RIP] + insn->immediate;                                     \
		cpu->regs[RIP] = branch_check(cpu, target, SIZE_##bits);                           \
	}                                                                                          \
	HANDLER(jmp_E_##bits##_r)                                                                  \
	{                                                                                          \
		cpu->regs[RIP] = branch_check(cpu, rm_get_##bits(cpu, insn), SIZE_##bits);         \
	}                                                                                          \
	DEFINE_READING(                                                                            \
		jmp_E_##bits##_m, bits, cpu->regs[RIP] = branch_check(cpu, value, SIZE_##bits))    \
	/* The return address is stored before a bad target is seen, and stays there. */           \
	static always_inline void call_##bits(struct cpu *cpu, u64 target)                         \
	{                                                                                          \
		u64 rsp = cpu->regs[RSP] - bits / 8;                                               \
		store_##bits(cpu, address_stack(cpu, rsp, bits / 8, ACCESS_WRITE),                 \
			(u##bits)cpu->regs[RIP]);                                                  \
		cpu->regs[RIP] = branch_check(cpu, target, SIZE_##bits);                           \
		stack_adjust(cpu, -(bits / 8));                                                    \
	}                                                                                          \
	DEFINE_CALLING(call_J_##bits, bits, cpu->regs[RIP] + insn->immediate)                      \
	DEFINE_CALLING(call_E_##bits##_r, bits, rm_get_##bits(cpu, insn))                          \
	HANDLER(call_E_##bits##_m)                                                                 \
	{                                                                                          \
		u##bits target = memory_get_##bits(cpu, insn);                                     \
		stack_check(cpu, cpu->regs[RSP] - bits / 8);                                       \
		call_##bits(cpu, target);                                                          \
	}                                                                                          \
	DEFINE_POPPING(ret_##bits, bits, cpu->regs[RIP] = branch_check(cpu, value, SIZE_##bits);   \
		       stack_move(cpu, bits, bits / 8))                                            \
	DEFINE_POPPING(ret_I_##bits, bits, cpu->regs[RIP] = branch_check(cpu, value, SIZE_##bits); \
		       stack_move(cpu, bits, bits / 8 + (u16)insn->immediate))

FOR_SIZES_V(DEFINE_BRANCHES)

/* ---- by condition -------------------------------------------------------------------------------- */

#define DEFINE_JCC(code)                                             \
	HANDLER(jcc_J_##code)                                        \
	{                                                            \
		if (flags_condition(cpu->arithmetic_flags, code))    \
			cpu->regs[RIP] = branch_relative(cpu, insn); \
	}

FOR_CONDITIONS(DEFINE_JCC)

static u64 count_get(const struct cpu *cpu, const struct insn *insn)
{
	u64 rcx = cpu->regs[RCX];
	return insn->address_size == SIZE_64	? rcx
		: insn->address_size == SIZE_32 ? (u32)rcx
						: (u16)rcx;
}

static void count_set(struct cpu *cpu, const struct insn *insn, u64 count)
{
	if (insn->address_size == SIZE_16)
		reg_set_16(cpu, RCX * 8, (u16)count);
	else
		cpu->regs[RCX] = insn->address_size == SIZE_32 ? (u32)count : count;
}

/* RCX is counted down only when the branch, if taken, is good. */
static void branch_loop(struct cpu *cpu, const struct insn *insn, bool condition)
{
	u64 count = count_get(cpu, insn) - 1;
	if (insn->address_size != SIZE_64)
		count = insn->address_size == SIZE_32 ? (u32)count : (u16)count;
	if (count && condition)
		cpu->regs[RIP] = branch_relative(cpu, insn);
	count_set(cpu, insn, count);
}

HANDLER(loop)
{
	branch_loop(cpu, insn, true);
}

HANDLER(loope)
{
	branch_loop(cpu, insn, cpu->arithmetic_flags & PACKED_ZF);
}

HANDLER(loopne)
{
	branch_loop(cpu, insn, !(cpu->arithmetic_flags & PACKED_ZF));
}

HANDLER(jcxz)
{
	if (!count_get(cpu, insn))
		cpu->regs[RIP] = branch_relative(cpu, insn);
}

/* ---- BOUND --------------------------------------------------------------------------------------- */

/* Two signed bounds in memory, both included; the upper one is read only if the lower one holds. */
HANDLER(bound)
{
	bool wide = insn->operand_size == SIZE_32;
	unsigned bytes = wide ? 4 : 2;
	i32 index = wide ? (i32)reg_get_32(cpu, insn->reg) : (i16)reg_get_16(cpu, insn->reg);
	u64 at = address_linear(cpu, insn, bytes, ACCESS_READ);
	i32 low = wide ? (i32)load_32(cpu, at) : (i16)load_16(cpu, at);
	if (index < low)
		raise_exception(cpu, EXCEPTION_BR);
	at = address_linear_at(cpu, insn, bytes, bytes, ACCESS_READ);
	i32 high = wide ? (i32)load_32(cpu, at) : (i16)load_16(cpu, at);
	if (index > high)
		raise_exception(cpu, EXCEPTION_BR);
}
