/* SPDX-License-Identifier: MIT */
/*
 * A stretch: instructions in a row whose memory accesses are all checked before the first of them, those that lie near each other by one
 * check. It is left out for code in which each access has its own check where one of those fails. docs/design/translator.md.
 */
#ifndef ENGINES_TRANSLATOR_STRETCH_H
#define ENGINES_TRANSLATOR_STRETCH_H

#include "engines/blocks/block.h"
#include "engines/translator/layout.h"

#define NO_GUEST 0xff

/* A memory operand's address. */
struct address {
	u8 base, index; /* guest registers, or NO_GUEST */
	u8 scale;
	bool is_rip;
	u8 segment; /* whose base is added; SEGMENT_NONE: none */
	i32 displacement;
};

#define NO_GROUP 0xff
/* Bytes that one check is made for, at most: with more too many would lie over a page's end. */
#define GROUP_SPAN 256
#define GROUP_SPAN_LOOP 512
#define ROUNDS_MAX 8 /* of a loop, in one stretch */

/* Accesses near each other. */
struct group {
	struct address
		address; /* of the first byte, in registers as they are when the stretch begins */
	u16 bytes;
	u16 align; /* of the last unit, and so of all that must be aligned; 1: none must be */
	bool is_write;
	bool is_used_later; /* its host address is kept in a word */
	u8 count;
	i32 end, aligned; /* displacements: behind the last byte; of one that must be aligned */
};

struct stretch {
	bool is_active; /* its instructions are being translated: their operands have been checked */
	bool is_broken; /* an instruction needs more than that */
	bool keeps_all; /* every group is used later */
	u8 fpu;		/* enum fpu_live that it needs */
	u8 held;	/* group whose host address HOST_ADDRESS has, or NO_GROUP */
	u8 group_count;
	u32 count;  /* instructions of the block; of a loop: without the branch at its end */
	u32 rounds; /* how often they come in it: 1, or of a loop several times */
	i32 stack;  /* what RSP has still to be moved by */
	struct group groups[PLACES];
	/* Of the current instruction in all rounds, and what each accesses. */
	u32 position;
	u8 group[BLOCK_INSNS_MAX];
	i32 displacement[BLOCK_INSNS_MAX];
	/* Where a loop is left, but for its last round's end: displacements. */
	u32 exit_count;
	u32 exits[ROUNDS_MAX];
};

struct build;

/* The current instruction's memory operand, by ModRM. offset_next: of the next instruction in the page. */
struct address address_of(const struct insn *insn, u32 offset_next);
/* Plans one that begins with the block's instruction `begin` and ends before `limit`; false: nothing would be gained. */
bool stretch_plan(
	struct stretch *stretch, const struct block *block, u32 begin, u32 offset_next, u32 limit);

/* Plans several rounds of a block that is a loop, as many as can be checked together; false: there are not even two. */
bool stretch_plan_loop(struct stretch *stretch, const struct block *block);

/* What an instruction of the form that copy.c translates asks of memory and FPU. */
struct copied {
	u8 bytes; /* of memory; 0: no memory operand */
	u8 align;
	bool is_write;
	u8 fpu; /* enum fpu_live */
};
/* False: it is none. */
bool copied_get(struct copied *copied, const struct insn *insn);

/* Translates as many instructions as there are in one; false: there is none here. */
bool stretch_build(struct build *b);
/* Behind the branch at the block's end, where it is not taken: to there a loop's stretch is left. */
void stretch_end_loop(struct build *b);
/* HOST_ADDRESS gets another value. */
void stretch_lose_address(struct build *b);
/* RSP moves by delta; not yet in the host's register, if it may wait. */
void stretch_move_stack(struct build *b, i32 delta);

#endif
