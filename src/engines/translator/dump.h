/* SPDX-License-Identifier: MIT */
/* A translated block for people: each guest instruction, and beside it the host code that was made of it. */
#ifndef ENGINES_TRANSLATOR_DUMP_H
#define ENGINES_TRANSLATOR_DUMP_H

#include "x86/insn.h"

struct dump_insn {
	const struct insn *insn;
	u32 host_offset; /* where its host code begins; not less than the one before it */
};

struct dump {
	const struct dump_insn *insns;
	unsigned count;
	u64 guest_address; /* of the first; the others follow it */
	const u8 *host;
	u32 host_bytes;
};

/*
 * Calls line for each line, without a line feed. Host addresses are offsets in the block; host code before the first instruction's, and
 * what no decoder knows (as bytes), is there too.
 */
void block_dump(
	const struct dump *dump, void (*line)(void *context, const char *text), void *context);

#endif
