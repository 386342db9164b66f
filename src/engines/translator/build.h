/* SPDX-License-Identifier: MIT */
/* What the pieces of the translation of one block share. */
#ifndef ENGINES_TRANSLATOR_BUILD_H
#define ENGINES_TRANSLATOR_BUILD_H

#include "engines/translator/flags.h"
#include "engines/translator/stretch.h"
#include "engines/translator/translator.h"

enum aside_kind {
	ASIDE_INSN,    /* the instruction by the interpreter's semantics, and back */
	ASIDE_LEAVE,   /* the same, and to the run loop */
	ASIDE_EDGE,    /* the same by an edge, which may be linked */
	ASIDE_STI,     /* the same, which is undone first */
	ASIDE_NEXT,    /* no instruction: to the run loop at offset_next, by an edge */
	ASIDE_LIMIT,   /* counted: to the run loop before the block */
	ASIDE_FPU,     /* the FPU state is not in the host's registers */
	ASIDE_AVX,     /* or VEX instructions may not run */
	ASIDE_X87,     /* or x87's is not there */
	ASIDE_STRETCH, /* instructions each by itself, and back */
};

#define ASIDE_JUMPS 8
#define ASIDE_MAX (BLOCK_INSNS_MAX * 6 + 8)
#define EDGES_MAX 2

/* What did not find its page in the TLB's first way, or its target in that of the table of jumps. */
struct miss {
	u32 jump; /* displacement that leads here */
	u32 back; /* where HOST_ADDRESS has the addend, or the place that knows the target */
	i32 tag;  /* offset in the entry; or MISS_OF_JUMP */
};

#define MISS_OF_JUMP (-1)
#define MISSES_MAX PLACES /* at least 3 */

/*
 * The last x87 instruction's opcode and address, which belong to the guest's state but are stored only where somebody might
 * look: before calls, in the pieces beside the block, and at its end.
 */
struct x87_pointers {
	bool is_due;
	u16 opcode;
	u32 offset; /* in the page */
};

/* Code that is rarely needed, put behind the block. */
struct aside {
	u8 kind;
	u8 jump_count;
	u32 jumps[ASIDE_JUMPS]; /* displacements that lead here */
	u8 miss_count;
	struct miss misses[MISSES_MAX];
	u32 back; /* where it goes on */
	const struct insn *insn;
	u32 offset_next; /* of the next instruction in the page (may be PAGE_SIZE) */
	struct flags before, after;
	struct x87_pointers x87;
	unsigned edge;	/* of edges */
	i32 undo_stack; /* added to RSP first */
	/* ASIDE_STRETCH: its instructions, and build.fpu_live before them. */
	u32 index, count, fpu_live;
};

struct build {
	struct translator *translator;
	struct code *code;
	struct block *block;
	const struct insn *insn; /* the current one */
	unsigned index;		 /* its number */
	u32 offset_next;
	struct flags flags;
	u32 fpu_live; /* enum fpu_live: which of the guest's FPU registers are in the host's at this point */
	struct x87_pointers x87;
	bool is_32; /* 32-bit code with flat segments: addresses and the stack are of 32 bits */
	bool ends;  /* nothing comes after this instruction */
	unsigned aside_count;
	struct aside aside[ASIDE_MAX];
	unsigned edge_count;
	struct edge edges[EDGES_MAX];
	struct translation *translation;
	u32 insn_at[BLOCK_INSNS_MAX]; /* where each instruction's code begins */
	u32 code_end;		      /* nothing behind it is executed */
	struct stretch stretch;
};

/* How far a translation had come. */
struct build_mark {
	unsigned index, aside_count, edge_count;
	u32 offset_next, code_at, fpu_live;
	struct flags flags;
	struct x87_pointers x87;
};
void build_mark(const struct build *b, struct build_mark *mark);
void build_rewind(struct build *b, const struct build_mark *mark);

/* The current instruction, alone or within a stretch. */
void build_insn(struct build *b);

/* The current code's word: of the stack, of addresses, of near branches; its bytes. */
static always_inline unsigned word_size(const struct build *b)
{
	return b->is_32 ? SIZE_32 : SIZE_64;
}

static always_inline i32 word_bytes(const struct build *b)
{
	return b->is_32 ? 4 : 8;
}

/*
 * Can check_operand reach the memory operand? In 32-bit code ES, SS and DS are flat wherever a translation runs (run.c), and FS and GS are
 * looked at; CS is not for writing, and seldom used.
 */
static always_inline bool operand_is_reachable(const struct insn *insn)
{
	return insn->flags & INSN_FLAT ||
		(insn->code_size == SIZE_32 && insn->address_size == SIZE_32 &&
			insn->segment != SEGMENT_CS);
}

/* Opens a aside piece for the current instruction with the flags as they are now. */
struct aside *aside_open(struct build *b, enum aside_kind kind);
void aside_jump(struct aside *aside, u32 displacement_at);
/* The instruction ends here: where the aside piece goes on, and what it finds there. */
void aside_close(struct build *b, struct aside *aside);
void aside_emit_all(struct build *b);

/*
 * Checks the current instruction's memory operand: afterwards the returned place is valid for `bytes` (HOST_ADDRESS is in it,
 * HOST_SCRATCH is free), or control has gone to `aside`. EFLAGS are spoilt. This is the one place that turns guest addresses into host
 * ones.
 */
struct place check_operand(
	struct build *b, struct aside *aside, unsigned bytes, bool is_write, bool must_be_aligned);
/* The same for `bytes` at a guest register plus displacement. */
struct place check_register(struct build *b, struct aside *aside, unsigned guest, i32 displacement,
	unsigned bytes, bool is_write);
/* For accesses near each other, that come later: the place of the first byte. */
struct place check_group(struct build *b, struct aside *aside, const struct group *group);
/* The aside piece for a check that comes; EFLAGS need not outlive that. */
struct aside *check_open(struct build *b, enum aside_kind kind);

/* stretch.c: the current instruction's operand, which has been checked. */
struct place stretch_operand(struct build *b);
void stretch_emit_aside(struct build *b, const struct aside *aside);

/* Sets or clears a bit of cpu->other_flags. EFLAGS are spoilt. */
void emit_other_flag(struct build *b, u32 flag, bool is_set);

/* LEA of the current instruction's address into a host register. */
void emit_address(struct build *b, unsigned to);

/* The same for the address that is the current instruction's immediate. */
struct place check_offset(struct build *b, struct aside *aside, unsigned bytes, bool is_write);

/* LEA, loads and stores of a word of the current code. */
void emit_word_lea(struct build *b, unsigned to, struct place place);
void emit_word_load(struct build *b, unsigned to, struct place place);
void emit_word_store(struct build *b, struct place place, unsigned from);

/* A guest register's value: the host register that has it, or `scratch` after loading it there. */
unsigned register_use(struct build *b, unsigned guest, unsigned scratch);
/* 64 bits of a guest register from or to a host one. */
void register_load(struct build *b, unsigned to, unsigned guest);
void register_store(struct build *b, unsigned guest, unsigned from);

/* The flags outlive the guest register's value when an instruction that leaves flags alone overwrites it. */
void before_write(struct build *b, unsigned guest);

/* Translators by family: true when the current instruction has been translated. */
bool build_copy(struct build *b);    /* copied with other registers */
bool build_special(struct build *b); /* implied registers */
bool build_stack(struct build *b);
bool build_branch(struct build *b);
bool build_system(struct build *b);
bool build_x87(struct build *b);
/* By the interpreter's semantics. */
void build_helper(struct build *b);
/* Control goes on at offset, relative to the block's page, with `stack` added to RSP if it gets there. */
void build_edge_to(struct build *b, i64 offset, enum aside_kind kind, i32 stack);
/* FPU state must be live: enum fpu_live. */
void build_fpu(struct build *b, u32 live);
/* To the guest's state, if they are due. HOST_SCRATCH is lost. */
void x87_pointers_store(struct code *code, struct x87_pointers *pointers);

#endif
