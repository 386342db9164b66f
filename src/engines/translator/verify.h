/* SPDX-License-Identifier: MIT */
/*
 * The verifier: what has been emitted is decoded again, and nothing in it is believed. For each translation it proves that every memory
 * operand is a word of struct cpu that translated code may touch, or lies within what a check of the TLB has passed, and that
 * control leaves only by the known exits. It shares the layout with the translator (layout.h), and no code. docs/threat-model.md
 * says what is proven and what is not.
 *
 * Forward abstract interpretation in two passes over the code, without iteration: where control comes back to from behind, only
 * little is assumed, and whoever jumps there must guarantee it.
 */
#ifndef ENGINES_TRANSLATOR_VERIFY_H
#define ENGINES_TRANSLATOR_VERIFY_H

#include "engines/translator/translator.h"

struct verifier;

/* NULL: no memory. */
struct verifier *verifier_create(void);
void verifier_destroy(struct verifier *verifier); /* NULL is fine */

/* A translation as it has just been emitted, its edges not linked. Offsets are in translator->code. */
struct verifier_input {
	const struct translator *translator;
	const struct translation *translation;
	u32 code_end; /* padding and the edges' keys follow, up to translation->aside_end */
};

struct verifier_finding {
	const char *what;
	u32 at; /* where the instruction begins */
};

/* False: *finding says what could not be proven. Linear in the code; nothing is allocated. */
bool verify(struct verifier *verifier, const struct verifier_input *input,
	struct verifier_finding *finding) must_use;

#endif
