/* SPDX-License-Identifier: MIT */
/*
 * The decoder: bytes to struct insn, driven by the tables that tools/generate-opcodes makes of opcodes.table.
 */
#ifndef X86_DECODE_DECODE_H
#define X86_DECODE_DECODE_H

#include "base/text.h"
#include "x86/insn.h"

enum decode_result {
	DECODE_OK,
	DECODE_INVALID,	   /* no such instruction in this mode and model: #UD; *insn raises it */
	DECODE_INCOMPLETE, /* valid so far, but more bytes are needed than were given */
	DECODE_TOO_LONG,   /* over 15 bytes: #GP; *insn raises it */
};

/*
 * Decodes one instruction at bytes[0..available). features: struct cpu_model's; an encoding that needs a feature
 * not in it decodes as on a processor without (F3 0F BD is BSR without ABM), or is invalid. *insn is complete, and
 * insn->execute set, except after DECODE_INCOMPLETE.
 */
enum decode_result decode(const u8 *bytes, unsigned available, enum insn_size code_size,
	u64 features, struct insn *insn) must_use;

/* One instruction in Intel syntax; address is its first byte's, for branch targets. */
void insn_print(struct text *text, const struct insn *insn, u64 address);

/*
 * How many variants of the semantics that the tables name do not exist: their rows raise #UD. report, unless NULL, is called
 * with the name of each, without the `execute_` prefix.
 */
unsigned decode_missing_handlers(void (*report)(void *context, const char *handler), void *context);

#endif
