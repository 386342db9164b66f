/* SPDX-License-Identifier: MIT */
/*
 * PUSH, POP, PUSHA, POPA, ENTER, LEAVE. APM volume 3. RSP changes last, so that a fault leaves it.
 */
#include "x86/execute/operands.h"
#include "x86/execute/stack.h"
#include "x86/paging.h"

#define DEFINE_PUSH_POP(bits)                                                                      \
	DEFINE_PUSHING(push_R_##bits, bits, reg_get_##bits(cpu, insn->reg))                        \
	DEFINE_POPPING(pop_R_##bits, bits, stack_move(cpu, bits, bits / 8);                        \
		       reg_set_##bits(cpu, insn->reg, value))                                      \
	DEFINE_PUSHING(push_I_##bits, bits, (u##bits)insn->immediate)                              \
	DEFINE_PUSHING(push_E_##bits##_r, bits, rm_get_##bits(cpu, insn))                          \
	HANDLER(push_E_##bits##_m)                                                                 \
	{                                                                                          \
		u##bits value = memory_get_##bits(cpu, insn);                                      \
		stack_check(cpu, cpu->regs[RSP] - bits / 8);                                       \
		stack_push_##bits(cpu, value);                                                     \
	}                                                                                          \
	HANDLER(pop_E_##bits##_r)                                                                  \
	{                                                                                          \
		u##bits value = stack_top_##bits(cpu);                                             \
		stack_adjust(cpu, bits / 8);                                                       \
		reg_set_##bits(cpu, insn->rm, value);                                              \
	}                                                                                          \
	/* A destination based on RSP is addressed with RSP already raised. */                     \
	HANDLER(pop_E_##bits##_m)                                                                  \
	{                                                                                          \
		stack_check(cpu, cpu->regs[RSP]);                                                  \
		u##bits value = stack_top_##bits(cpu);                                             \
		int raised = insn->base == RSP * 8 ? bits / 8 : 0;                                 \
		store_##bits(                                                                      \
			cpu, address_linear_at(cpu, insn, raised, bits / 8, ACCESS_WRITE), value); \
		stack_adjust(cpu, bits / 8);                                                       \
	}

FOR_SIZES_V(DEFINE_PUSH_POP)

/* ---- PUSHA, POPA: not in 64-bit code -------------------------------------------------------------- */

#define DEFINE_PUSH_ALL(bits)                                                                     \
	static void push_all_##bits(struct cpu *cpu)                                              \
	{                                                                                         \
		for (unsigned i = 0; i < 8; i++) {                                                \
			u64 rsp = cpu->regs[RSP] - (i + 1) * (bits / 8);                          \
			store_##bits(cpu, address_stack(cpu, rsp, bits / 8, ACCESS_WRITE),        \
				(u##bits)cpu->regs[i]);                                           \
		}                                                                                 \
		stack_adjust(cpu, -8 * (bits / 8));                                               \
	}                                                                                         \
	/* The stack pointer's own slot is read past. */                                          \
	static void pop_all_##bits(struct cpu *cpu)                                               \
	{                                                                                         \
		u##bits values[8];                                                                \
		for (unsigned i = 0; i < 8; i++) {                                                \
			u64 rsp = cpu->regs[RSP] + i * (bits / 8);                                \
			values[7 - i] =                                                           \
				load_##bits(cpu, address_stack(cpu, rsp, bits / 8, ACCESS_READ)); \
		}                                                                                 \
		for (unsigned i = 0; i < 8; i++)                                                  \
			if (i != RSP)                                                             \
				reg_set_##bits(cpu, i * 8, values[i]);                            \
		stack_adjust(cpu, 8 * (bits / 8));                                                \
	}

DEFINE_PUSH_ALL(16)
DEFINE_PUSH_ALL(32)

HANDLER(pusha)
{
	if (insn->operand_size == SIZE_16)
		push_all_16(cpu);
	else
		push_all_32(cpu);
}

HANDLER(popa)
{
	if (insn->operand_size == SIZE_16)
		pop_all_16(cpu);
	else
		pop_all_32(cpu);
}

/* ---- ENTER, LEAVE -------------------------------------------------------------------------------- */

/*
 * Copies level - 1 frame pointers of the frame at RBP, then pushes the new one, and ends with a check that the final
 * stack pointer can be written (APM volume 3, ENTER).
 */
#define DEFINE_FRAME(bits)                                                                         \
	static void enter_frame_##bits(struct cpu *cpu, unsigned level, u64 new_frame)             \
	{                                                                                          \
		u64 to = new_frame;                                                                \
		for (unsigned i = 1; i < level; i++) {                                             \
			u64 from = cpu->regs[RBP] - i * (bits / 8);                                \
			u##bits value =                                                            \
				load_##bits(cpu, address_stack(cpu, from, bits / 8, ACCESS_READ)); \
			to -= bits / 8;                                                            \
			store_##bits(cpu, address_stack(cpu, to, bits / 8, ACCESS_WRITE), value);  \
		}                                                                                  \
		to -= bits / 8;                                                                    \
		store_##bits(                                                                      \
			cpu, address_stack(cpu, to, bits / 8, ACCESS_WRITE), (u##bits)new_frame);  \
	}                                                                                          \
	static void enter_##bits(struct cpu *cpu, const struct insn *insn)                         \
	{                                                                                          \
		unsigned level = (insn->immediate >> 16) & 31;                                     \
		u64 new_frame = cpu->regs[RSP] - bits / 8;                                         \
		u64 rsp = new_frame - level * (bits / 8) - (u16)insn->immediate;                   \
		store_##bits(cpu, address_stack(cpu, new_frame, bits / 8, ACCESS_WRITE),           \
			reg_get_##bits(cpu, RBP * 8));                                             \
		if (level)                                                                         \
			enter_frame_##bits(cpu, level, new_frame);                                 \
		u64 end = address_stack(cpu, rsp, bits / 8, ACCESS_WRITE);                         \
		paging_probe(cpu, end, bits / 8, ACCESS_WRITE, cpu->tlb_mode);                     \
		stack_adjust(cpu, (i64)(rsp - cpu->regs[RSP]));                                    \
		reg_set_##bits(cpu, RBP * 8, (u##bits)new_frame);                                  \
	}                                                                                          \
	HANDLER(leave_##bits)                                                                      \
	{                                                                                          \
		u64 frame = cpu->regs[RBP];                                                        \
		u##bits value =                                                                    \
			load_##bits(cpu, address_stack(cpu, frame, bits / 8, ACCESS_READ));        \
		stack_adjust(cpu, (i64)(frame + bits / 8 - cpu->regs[RSP]));                       \
		reg_set_##bits(cpu, RBP * 8, value);                                               \
	}

FOR_SIZES_V(DEFINE_FRAME)

HANDLER(enter)
{
	if (insn->operand_size == SIZE_64)
		enter_64(cpu, insn);
	else if (insn->operand_size == SIZE_32)
		enter_32(cpu, insn);
	else
		enter_16(cpu, insn);
}
