/* SPDX-License-Identifier: MIT */
/*
 * Where the guest's arithmetic flags are at a point of a translation. A check of a memory operand spoils the host's EFLAGS, and an
 * exception may show the guest's flags at any instruction that can raise one. So before a check they must be had again somehow: from
 * memory, or by doing the last comparison or addition over (a recipe), which costs nothing until somebody asks.
 */
#ifndef ENGINES_TRANSLATOR_FLAGS_H
#define ENGINES_TRANSLATOR_FLAGS_H

#include "engines/translator/emit.h"
#include "x86/decode/rows.h"

enum recipe_kind {
	RECIPE_NONE,
	RECIPE_COMPARE,	 /* cmp a, b */
	RECIPE_TEST,	 /* test a, b */
	RECIPE_ADD,	 /* a is the sum of something and b */
	RECIPE_SUBTRACT, /* a is something less b */
};

/* Of general registers (guest numbers); valid while they are not written. */
struct recipe {
	u8 kind;
	u8 size; /* enum insn_size */
	u8 a;
	bool has_register; /* b, else the immediate */
	u8 b;
	i32 immediate;
};

struct flags {
	bool in_host;
	bool in_memory;
	struct recipe recipe;
};

#define ROW_FLAGS_ARITHMETIC \
	(ROW_FLAG_O | ROW_FLAG_S | ROW_FLAG_Z | ROW_FLAG_A | ROW_FLAG_P | ROW_FLAG_C)

/* What an instruction does with them. */
enum flags_use {
	FLAGS_READ = 1,	   /* needs them in the host's: reads some, or leaves some as they are */
	FLAGS_WRITTEN = 2, /* sets some */
	FLAGS_KILLED = 4   /* sets all, whatever they were */
};
unsigned flags_use(const struct insn *insn);

/* Something that spoils EFLAGS comes, and an exception may need the guest's. */
void flags_clobber(struct code *code, struct flags *flags);
/* They must be in the host's, in memory. */
void flags_to_host(struct code *code, struct flags *flags);
void flags_to_memory(struct code *code, struct flags *flags);
/* The instruction has set them all, or some with the rest in place; what it was, for the recipe. */
void flags_were_set(struct flags *flags, const struct insn *insn);
/* A general register is about to be written: true when only the recipe has the flags, and needs it. */
bool flags_need_register(const struct flags *flags, unsigned guest);
void flags_register_written(struct flags *flags, unsigned guest);

#endif
