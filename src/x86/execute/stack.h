/* SPDX-License-Identifier: MIT */
/* Pushes and pops of one value, for the semantics: nothing has changed if they raise. */
#ifndef X86_EXECUTE_STACK_H
#define X86_EXECUTE_STACK_H

#include "x86/execute/operands.h"
#include "x86/paging.h"
#include "x86/raise.h"

/*
 * For instructions with a memory operand besides: a stack pointer that is not canonical is #SS(0) (APM volume 2, 1.3.1).
 * In all others, paging knows that the stack is meant.
 */
static always_inline void stack_check(struct cpu *cpu, u64 rsp)
{
	if (cpu_is_64_bit(cpu) && unlikely(!address_is_canonical(rsp)))
		raise_with_code(cpu, EXCEPTION_SS, 0);
}

#define DEFINE_STACK(bits)                                                                 \
	static always_inline void stack_push_##bits(struct cpu *cpu, u##bits value)        \
	{                                                                                  \
		u64 rsp = cpu->regs[RSP] - bits / 8;                                       \
		store_##bits(cpu, address_stack(cpu, rsp, bits / 8, ACCESS_WRITE), value); \
		stack_adjust(cpu, -(bits / 8));                                            \
	}                                                                                  \
	/* What POP would get; RSP stays. */                                               \
	static always_inline u##bits stack_top_##bits(struct cpu *cpu)                     \
	{                                                                                  \
		return load_##bits(                                                        \
			cpu, address_stack(cpu, cpu->regs[RSP], bits / 8, ACCESS_READ));   \
	}

DEFINE_STACK(16)
DEFINE_STACK(32)
DEFINE_STACK(64)

/*
 * The host address of 8 bytes at rsp if the TLB has them, or NULL; for handlers with a 64-bit operand size, which
 * only 64-bit code has, so that the stack is flat. As memory_hit: the way without a call.
 */
static always_inline void *stack_hit(struct cpu *cpu, u64 rsp, enum access_kind kind)
{
	const struct tlb_entry *entry = &cpu->data_tlb[tlb_index(rsp)];
	u64 page = kind == ACCESS_WRITE ? entry->write : entry->read;
	if (unlikely(page != ((rsp + 7) & PAGE_MASK)))
		return NULL;
	return (void *)(rsp + entry->addend);
}

static always_inline void stack_move(struct cpu *cpu, unsigned bits, i64 delta)
{
	if (bits == 64)
		cpu->regs[RSP] += (u64)delta;
	else
		stack_adjust(cpu, delta);
}

/* A handler that pushes `expression`. */
#define DEFINE_PUSHING(name, bits, expression)                                                   \
	static no_inline void name##_slow(struct cpu *cpu, const struct insn *insn)              \
	{                                                                                        \
		stack_push_##bits(cpu, expression);                                              \
	}                                                                                        \
	HANDLER(name)                                                                            \
	{                                                                                        \
		void *at = bits == 64 ? stack_hit(cpu, cpu->regs[RSP] - 8, ACCESS_WRITE) : NULL; \
		if (likely(at)) {                                                                \
			ram_store_##bits(at, expression);                                        \
			stack_move(cpu, bits, -(bits / 8));                                      \
		} else {                                                                         \
			name##_slow(cpu, insn);                                                  \
		}                                                                                \
	}

/* A handler that reads the top of the stack into `value`; `body` moves RSP. */
#define DEFINE_POPPING(name, bits, body)                                                    \
	static no_inline void name##_slow(struct cpu *cpu, const struct insn *insn)         \
	{                                                                                   \
		u##bits value = stack_top_##bits(cpu);                                      \
		body;                                                                       \
	}                                                                                   \
	HANDLER(name)                                                                       \
	{                                                                                   \
		void *at = bits == 64 ? stack_hit(cpu, cpu->regs[RSP], ACCESS_READ) : NULL; \
		if (likely(at)) {                                                           \
			u##bits value = ram_load_##bits(at);                                \
			body;                                                               \
		} else {                                                                    \
			name##_slow(cpu, insn);                                             \
		}                                                                           \
	}

#endif
