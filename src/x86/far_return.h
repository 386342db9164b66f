/* SPDX-License-Identifier: MIT */
/* What far returns and IRET share (far_transfer.c, interrupt_return.c). */
#ifndef X86_FAR_RETURN_H
#define X86_FAR_RETURN_H

#include "x86/descriptors.h"

/* The code segment returned to; raises #GP, #NP. The selector's RPL is the CPL to be. */
void return_get_code(struct cpu *cpu, u16 selector, u64 offset, struct descriptor *code);
/* What SS becomes; null is allowed where 64-bit code below CPL 3 is returned to. */
void return_get_stack(
	struct cpu *cpu, u16 selector, const struct descriptor *code, struct segment *ss);
/* SS and rSP, once CS is set. */
void return_set_stack(struct cpu *cpu, const struct segment *ss, u64 rsp);
/* IRET's flags, in protected mode: those that the old CPL may change. */
void return_set_flags(struct cpu *cpu, u64 flags, unsigned bytes);
/* Data segments that the new CPL may not have become null. */
void return_drop_segments(struct cpu *cpu);

#endif
