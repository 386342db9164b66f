/* SPDX-License-Identifier: MIT */
#include "x86/decode/undefined.h"
#include "x86/raise.h"

void execute_undefined(struct cpu *cpu, const struct insn *insn)
{
	raise_ud(cpu);
}

void execute_too_long(struct cpu *cpu, const struct insn *insn)
{
	raise_gp(cpu, 0);
}
