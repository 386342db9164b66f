/* SPDX-License-Identifier: MIT */
/*
 * How an instruction ends without completing: the exception is noted in cpu->fault and control returns to
 * the engine's loop (__builtin_setjmp on cpu->unwind), which calls exception_deliver. Nothing else unwinds.
 */
#ifndef X86_RAISE_H
#define X86_RAISE_H

#include "x86/cpu.h"

enum exception_vector {
	EXCEPTION_DE = 0,
	EXCEPTION_DB = 1,
	EXCEPTION_NMI = 2,
	EXCEPTION_BP = 3,
	EXCEPTION_OF = 4,
	EXCEPTION_BR = 5,
	EXCEPTION_UD = 6,
	EXCEPTION_NM = 7,
	EXCEPTION_DF = 8,
	EXCEPTION_TS = 10,
	EXCEPTION_NP = 11,
	EXCEPTION_SS = 12,
	EXCEPTION_GP = 13,
	EXCEPTION_PF = 14,
	EXCEPTION_MF = 16,
	EXCEPTION_AC = 17,
	EXCEPTION_MC = 18,
	EXCEPTION_XM = 19,
};

_Noreturn cold void raise_exception(struct cpu *cpu, u8 vector);
_Noreturn cold void raise_with_code(struct cpu *cpu, u8 vector, u32 error_code);
_Noreturn cold void raise_page_fault(struct cpu *cpu, u64 linear, u32 error_code);

static always_inline _Noreturn void raise_ud(struct cpu *cpu)
{
	raise_exception(cpu, EXCEPTION_UD);
}

static always_inline _Noreturn void raise_gp(struct cpu *cpu, u32 error_code)
{
	raise_with_code(cpu, EXCEPTION_GP, error_code);
}

#endif
