/* SPDX-License-Identifier: MIT */
/*
 * Where the guest's registers are while translated code runs. docs/design/translator.md has the reasons.
 *
 * Thirteen guest registers live in host registers, three in struct cpu. RAX and RCX of the host are scratch: LAHF, JRCXZ, shifts by
 * CL, multiplication and division want them, and they need no REX prefix. The host's RSP is the host's stack. GS is the vCPU's struct
 * cpu, so that no register is spent on it.
 */
#ifndef ENGINES_TRANSLATOR_LAYOUT_H
#define ENGINES_TRANSLATOR_LAYOUT_H

#include "x86/cpu.h"

/* Host registers by number; the numbering is enum register_name's. */
#define HOST_SCRATCH RAX /* values, flags */
#define HOST_ADDRESS RCX /* a checked address */
#define HOST_NONE 0xff

/* The host register of a guest register, or HOST_NONE: it is in memory. */
static always_inline u8 host_register(unsigned guest)
{
	static const u8 map[16] = {[RAX] = R13,
		[RCX] = R14,
		[RDX] = RDX,
		[RBX] = RBX,
		[RSP] = R15,
		[RBP] = RBP,
		[RSI] = RSI,
		[RDI] = RDI,
		[R8] = R8,
		[R9] = R9,
		[R10] = R10,
		[R11] = R11,
		[R12] = R12,
		[R13] = HOST_NONE,
		[R14] = HOST_NONE,
		[R15] = HOST_NONE};
	return map[guest];
}

#define PLACES 3

/* cpu->engine_words: what translated code keeps beside the architectural state. */
enum engine_word {
	WORD_CODE_BASE, /* linear address of the page that the current block lies in */
	WORD_CODE_KEY, /* under which linear addresses were found: compared before a jump to another page */
	WORD_CODE_KEY_GLOBAL, /* the same where they were mapped global */
	WORD_JUMPS,	      /* struct jump_target[]: indirect jumps by target */
	WORD_EDGE,	      /* struct edge by which control left, or NULL */
	WORD_HOST_RSP,	      /* the stack of whoever entered */
	WORD_TARGET,	      /* of an indirect call while the stack is checked: its page */
	WORD_TARGET_CODE,     /* and its code, while an indirect call's stack is checked */
	WORD_FPU_LIVE, /* enum fpu_live: which of the guest's FPU registers are in the host's */
	WORD_FPU_WAS_LIVE,
	WORD_FPU_CONTROL, /* the complement of what FLDCW is to load */
	WORD_RETIRED,	  /* counted mode: instructions up to the current block's start */
	WORD_LIMIT,	  /* counted mode: blocks that would go beyond this do not begin */
	WORD_START,	  /* counted mode: struct insn that the current block begins with */
	WORD_SEGMENTS,	  /* 32-bit code: enum flat_segments, FS and GS */
	WORD_SECOND_WAYS, /* counts, in its lowest byte, accesses by the TLB's second way (aside.c) */
	WORD_PLACE, /* PLACES of them: host addresses that a block has checked, for its later instructions */
	WORD_LEFT = WORD_PLACE +
		PLACES, /* the instruction whose semantics run, or ran last before leaving; NULL: none */
	WORD_COUNT
};

_Static_assert(WORD_COUNT <= ENGINE_WORDS, "engine words");

/* WORD_FPU_LIVE: bits, of which the first is never missing when there is another. */
enum fpu_live {
	FPU_SSE = 1, /* XMM registers and MXCSR (and the upper halves, where the model has them) */
	FPU_AVX = 3, /* the same, and VEX instructions may run */
	FPU_X87 = 5  /* the same as the first, and x87's state, all exceptions masked */
};

/* What tells in WORD_FPU_LIVE that it is all there. */
static always_inline u8 fpu_live_bit(u32 live)
{
	return live == FPU_SSE ? FPU_SSE : (u8)(live & ~(u32)FPU_SSE);
}

/* WORD_SEGMENTS: which are as large as the address space and writable, whatever their base. */
enum flat_segments { FLAT_FS = 1, FLAT_GS = 2 };

#define OFFSET_REGISTER(number) ((i32) __builtin_offsetof(struct cpu, regs) + 8 * (i32)(number))
#define OFFSET_WORD(word) ((i32) __builtin_offsetof(struct cpu, engine_words) + 8 * (i32)(word))
#define OFFSET_OF(field) ((i32) __builtin_offsetof(struct cpu, field))
#define OFFSET_SEGMENT_BASE(number)                           \
	((i32) __builtin_offsetof(struct cpu, segments) +     \
		(i32)sizeof(struct segment) * (i32)(number) + \
		(i32) __builtin_offsetof(struct segment, base))

#define JUMP_SETS 4096 /* a power of two */
#define JUMP_TABLES 4

struct jump_target {
	u64 linear;
	const u8 *code;
};

/*
 * Found by a hash of the target, since functions lie at round addresses. Translated code compares with the first way; the second has
 * what was displaced from there, and only a miss looks. All in a table were found under one key: while another is in force, another
 * table is.
 */
struct jump_set {
	struct jump_target ways[2];
};

#define JUMP_HASH 0x9e3779b1u
#define JUMP_HASH_SHIFT 15
#define JUMP_OFFSET_MASK ((JUMP_SETS - 1) * (u32)sizeof(struct jump_set))

/* Of a target's set in a table, in bytes. */
static always_inline u32 jump_set_offset(u64 linear)
{
	return (u32)linear * JUMP_HASH >> JUMP_HASH_SHIFT & JUMP_OFFSET_MASK;
}

/* In set `number` while there is nothing else: no address that is looked up there is this. */
static always_inline struct jump_target jump_target_empty(unsigned number)
{
	return (struct jump_target){.linear = !number};
}

#endif
