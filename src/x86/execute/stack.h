/* SPDX-License-Identifier: MIT */
/* Pushes and pops of one value, for the semantics: nothing has changed if they raise. */
#ifndef X86_EXECUTE_STACK_H
#define X86_EXECUTE_STACK_H

#include "x86/address.h"
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

#endif
