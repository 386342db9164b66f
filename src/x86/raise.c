/* SPDX-License-Identifier: MIT */
#include "x86/raise.h"
#include "x86/split_lock.h"

u32 split_lock_word;

static _Noreturn void raise_unwind(struct cpu *cpu)
{
	if (cpu->holds_split_lock)
		split_lock_release(cpu);
	__builtin_longjmp(cpu->unwind, 1);
}

_Noreturn void raise_exception(struct cpu *cpu, u8 vector)
{
	cpu->fault.vector = vector;
	cpu->fault.has_error_code = false;
	cpu->fault.error_code = 0;
	raise_unwind(cpu);
}

_Noreturn void raise_with_code(struct cpu *cpu, u8 vector, u32 error_code)
{
	cpu->fault.vector = vector;
	cpu->fault.has_error_code = true;
	cpu->fault.error_code = error_code;
	raise_unwind(cpu);
}

_Noreturn void raise_page_fault(struct cpu *cpu, u64 linear, u32 error_code)
{
	cpu->fault.cr2 = linear;
	raise_with_code(cpu, EXCEPTION_PF, error_code);
}
