/* SPDX-License-Identifier: MIT */
/* The semantics of what is no instruction. */
#ifndef X86_DECODE_UNDEFINED_H
#define X86_DECODE_UNDEFINED_H

#include "x86/insn.h"

/* No such instruction, or one without semantics yet: #UD. */
void execute_undefined(struct cpu *cpu, const struct insn *insn);
/* More than 15 bytes: #GP(0) (APM volume 2, 8.2.14). */
void execute_too_long(struct cpu *cpu, const struct insn *insn);

#endif
