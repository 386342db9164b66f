/* SPDX-License-Identifier: MIT */
/* One host instruction's effect on what the verifier knows. */
#ifndef ENGINES_TRANSLATOR_VERIFY_STEP_H
#define ENGINES_TRANSLATOR_VERIFY_STEP_H

#include "engines/translator/verify_known.h"

/* What an instruction is to the verifier; by default it is refused. verify_rows.c says which opcode is what. */
enum action {
	ACTION_REFUSED,
	ACTION_PLAIN, /* operands as its row says, no more */
	ACTION_MOVE,
	ACTION_CONSTANT,
	ACTION_STORE_BYTE,
	ACTION_LEA,
	ACTION_ADD,
	ACTION_AND,
	ACTION_SHIFT,
	ACTION_MULTIPLY,
	ACTION_COMPARE,
	ACTION_TEST,
	ACTION_FLAGS, /* LAHF: AX becomes the guest's */
	ACTION_DIVIDE,
	ACTION_FIRST_BRANCH,
	ACTION_JCC = ACTION_FIRST_BRANCH,
	ACTION_JRCXZ,
	ACTION_JMP,
	ACTION_JMP_INDIRECT,
	ACTION_CALL,
};

#define NO_OPERAND 0xff

/* An opcode row, as far as the verifier asks. */
struct row_facts {
	u8 action;
	u8 memory; /* which operand may be memory, or NO_OPERAND */
	u8 reg_operand, rm_operand,
		vvvv_operand;	 /* which are the general registers in these places */
	u8 reg, rm, vvvv, fixed; /* enum operand_access of the general registers there; of RAX */
	u8 fpu;			 /* enum fpu_live: what it needs of the FPU's state, or 0 */
	bool implies_rdx;	 /* RDX is written */
	bool is_fixed_part;	 /* of RAX, AX only is */
	bool is_aligned, sets_flags;
};

/* One a row of opcodes.table. */
void row_facts_make(struct row_facts *facts);

/* Words of struct cpu, by their number from its start. */
enum word_use {
	WORD_PLAIN,
	WORD_IS_TLB,
	WORD_IS_MODE, /* one of cpu->tlb.by_mode */
	WORD_IS_CPL,  /* CPL is read, tlb_mode written */
	WORD_IS_JUMPS,
	WORD_IS_CODE, /* WORD_TARGET_CODE */
	WORD_IS_EDGE,
	WORD_IS_START,
	WORD_IS_FPU,
	WORD_IS_PLACE /* PLACES from WORD_PLACE on */
};
struct word {
	u8 read, write; /* which bytes may be */
	u8 term;	/* of a whole word, or TERM_NONE */
	u8 use;
};
/* NULL: none of it is for translated code. */
const struct word *word_find(i32 offset, unsigned bytes, unsigned access);

enum memory_kind { MEMORY_NONE, MEMORY_WORD, MEMORY_KEY, MEMORY_GUEST, MEMORY_ENTRY, MEMORY_JUMP };

struct step {
	struct known *known;
	const struct verifier_input *input;
	const struct insn *insn;
	const struct row_facts *row;
	u32 at, end; /* of the instruction */
	const char *failure;
	/* The memory operand. */
	u8 memory;
	u8 bytes, access;
	u8 edge;
	u8 way; /* of the TLB */
	const struct word *word;
	i64 displacement;
};

static always_inline bool is_scratch(unsigned host)
{
	return host == RAX || host == RCX;
}

/* The first one counts. */
void step_fail(struct step *step, const char *what);

/* verify_memory.c: what a register holds; the part of it that an operand of this size has. */
struct value known_register(const struct known *known, unsigned host);
struct value value_sized(struct value value, unsigned size);
/* Base, index and displacement; the segment is the caller's. */
struct value step_address(struct step *step);
/* Finds out what the memory operand is, and fails where it may not be that. */
void step_take_memory(struct step *step);
/* Guest memory of step->bytes for step->access at an address: fails unless it has been checked. */
void step_take_address(struct step *step, const struct value *address, bool must_be_aligned);

/* verify_step.c: operands are read; all that is written becomes unknown, and `host`, if it is scratch, `value`. */
void step_read_registers(struct step *step);
void step_check_word(struct step *step); /* none of the engine's own */
void step_effects(struct step *step);
void step_result(struct step *step, unsigned host, const struct value *value);

/* By action. */
void step_plain(struct step *step);
void step_add(struct step *step); /* verify_arithmetic.c, as the following */
void step_bits(struct step *step);
void step_multiply(struct step *step);
void step_compare(struct step *step);
void step_test(struct step *step);
void step_divide(struct step *step);

/* Anything but a branch. */
void step_run(struct step *step);
/* The address of the memory operand of a branch: is it that of a jump target which has been compared? */
bool step_is_jump_target(struct step *step);
/* What a conditional branch with this condition tells where it goes, or does not. */
void step_condition(struct known *known, unsigned condition, bool is_taken);
/* RAX and RCX are what the thunks that run an instruction expect. */
bool step_has_arguments(const struct step *step);

#endif
