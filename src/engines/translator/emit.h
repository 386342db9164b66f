/* SPDX-License-Identifier: MIT */
/*
 * Host instructions into code memory. Positions are offsets in it: it is written at one address and executed at another.
 * When the room ends, what is emitted goes nowhere and `is_full` says so at the end: nobody checks in between.
 */
#ifndef ENGINES_TRANSLATOR_EMIT_H
#define ENGINES_TRANSLATOR_EMIT_H

#include "base/types.h"
#include "engines/translator/layout.h"

struct code {
	u8 *write;
	const u8 *execute;
	u32 at, limit;
	bool is_full;
};

/* A memory operand of the host. */
struct place {
	u8 base;      /* host register, or HOST_NONE */
	u8 index;     /* host register, or HOST_NONE */
	u8 scale;     /* log2 */
	bool is_vcpu; /* GS: displacement is an offset in struct cpu */
	i32 displacement;
};

static always_inline struct place place_vcpu(i32 offset)
{
	return (struct place){HOST_NONE, HOST_NONE, 0, true, offset};
}

static always_inline struct place place_base(u8 base, i32 displacement)
{
	return (struct place){base, HOST_NONE, 0, false, displacement};
}

void emit_8(struct code *code, unsigned value);
void emit_32(struct code *code, u32 value);
void emit_64(struct code *code, u64 value);
void emit_bytes(struct code *code, const void *bytes, unsigned count);

/* How an instruction is made: prefixes, opcode. Operands come beside it. */
struct encoding {
	u8 prefix;   /* mandatory: 0, 66, f3 or f2 */
	bool has_66; /* 16-bit operands */
	bool has_lock;
	bool is_wide;	/* REX.W */
	bool needs_rex; /* a byte register of SPL, BPL, SIL, DIL */
	u8 map, opcode; /* map: 0 to 3 */
	bool is_vex;	/* then has_66, has_lock, needs_rex don't count */
	bool is_256;	/* VEX.L */
	u8 vvvv; /* VEX.vvvv, a register's number; 0 where there is none: it is emitted inverted, as 1111b */
};

/* op reg, rm with rm a register or a place. */
void emit_rr(struct code *code, const struct encoding *e, unsigned reg, unsigned rm);
/* immediate_bytes: of what follows, which RIP-relative operands would need; none here has any. */
void emit_rm(struct code *code, const struct encoding *e, unsigned reg, const struct place *place);

/* The usual 64- and 32-bit ones. */
void emit_op_rr(struct code *code, unsigned opcode, bool wide, unsigned reg, unsigned rm);
void emit_op_rm(struct code *code, unsigned opcode, bool wide, unsigned reg, struct place place);
void emit_mov(struct code *code, unsigned to, unsigned from);	       /* 64 bits */
void emit_load(struct code *code, unsigned to, struct place place);    /* 64 bits */
void emit_store(struct code *code, struct place place, unsigned from); /* 64 bits */
void emit_load_32(struct code *code, unsigned to, struct place place);
void emit_lea(struct code *code, unsigned to, struct place place);
void emit_mov_immediate(struct code *code, unsigned to, u64 value);
/* group 81/83: extension 0 add, 1 or, 4 and, 5 sub, 6 xor, 7 cmp */
void emit_group1(struct code *code, unsigned extension, bool wide, unsigned rm, i32 immediate);
void emit_group1_place(
	struct code *code, unsigned extension, bool wide, struct place place, i32 immediate);

/* Jumps: 32-bit displacements, patched later. Return where the displacement is. */
u32 emit_jmp(struct code *code);
u32 emit_jcc(struct code *code, unsigned condition);
u32 emit_call(struct code *code, u32 target);
void emit_jmp_to(struct code *code, u32 target);
/* JRCXZ over `bytes`. */
void emit_jrcxz_over(struct code *code, unsigned bytes);
void code_patch(struct code *code, u32 displacement_at, u32 target);

/* The guest's flags: the host's EFLAGS to cpu->arithmetic_flags and back. Scratch is lost. */
void emit_flags_save(struct code *code);
void emit_flags_load(struct code *code);

#endif
