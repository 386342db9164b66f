/* SPDX-License-Identifier: MIT */
/*
 * Several pushes or pops as one: by far transfers and event delivery, on the current stack or on one that is
 * still to be switched to. Nothing in struct cpu changes before stack_frame_commit.
 */
#ifndef X86_STACK_FRAME_H
#define X86_STACK_FRAME_H

#include "x86/cpu.h"

struct stack_frame {
	const struct segment *segment; /* SS, old or new */
	u64 pointer;		       /* all of rSP; only the stack size's part counts */
	u8 size;		       /* enum insn_size of the stack pointer */
	u8 mode;		       /* enum tlb_mode of its accesses */
	u32 error;		       /* error code of #SS */
};

/* The current stack. */
void stack_frame_init(struct cpu *cpu, struct stack_frame *frame);
/* A stack for code at `cpl`; flat: 64-bit, segment is not looked at. */
void stack_frame_init_new(struct cpu *cpu, struct stack_frame *frame, const struct segment *segment,
	u64 pointer, unsigned cpl, bool flat, u32 error);

/* Raises now what `count` pushes of `bytes` each would raise. */
void stack_frame_reserve(
	struct cpu *cpu, struct stack_frame *frame, unsigned count, unsigned bytes);
void stack_frame_push(struct cpu *cpu, struct stack_frame *frame, u64 value, unsigned bytes);
u64 stack_frame_pop(struct cpu *cpu, struct stack_frame *frame, unsigned bytes);
/* Moves the pointer up without looking. */
void stack_frame_skip(struct stack_frame *frame, u64 bytes);

/* The frame's pointer becomes rSP. */
void stack_frame_commit(struct cpu *cpu, const struct stack_frame *frame);

#endif
