/* SPDX-License-Identifier: MIT */
/* What the verifier knows at a point of a translation. */
#ifndef ENGINES_TRANSLATOR_VERIFY_KNOWN_H
#define ENGINES_TRANSLATOR_VERIFY_KNOWN_H

#include "engines/translator/verify.h"
#include "x86/decode/rows.h"

/*
 * What a linear address can be a sum of: host registers by their number, and words of struct cpu. A term stands for what it holds
 * now; when that is written, whatever mentions it is forgotten.
 */
enum term {
	TERM_LOADED =
		0, /* the last value that came from memory into a scratch register (whose own numbers are free) */
	TERM_WORDS = 16,
	TERM_CODE_BASE = TERM_WORDS,
	TERM_TARGET,
	TERM_CODE_KEY,
	TERM_CODE_KEY_GLOBAL,
	TERM_R13,
	TERM_R14,
	TERM_R15,
	TERM_FS,
	TERM_GS,
	TERM_COUNT,
	TERM_NONE = 0xff
};

/* Modulo 2^64: each term by its factor (a byte of `factors`), and a constant. */
struct sum {
	u64 factors[4];
	u64 constant;
};

_Static_assert(TERM_COUNT <= 32, "factors");

enum value_kind {
	VALUE_UNKNOWN, /* the guest's, or anything that it may know */
	VALUE_SUM,
	VALUE_LOW,     /* the lower 32 bits of sum */
	VALUE_LOW_SUM, /* those plus `span`, less than a page */
	VALUE_SHIFTED, /* those, by the TLB's shift */
	VALUE_INDEX,   /* offset of sum's entry in the TLB */
	VALUE_PAGE, /* sum & mask; if `bytes` is 4, (the lower 32 bits of sum, plus span) & mask */
	VALUE_JUMP_PRODUCT, /* the hash of sum before it is shifted and masked (layout.h) */
	VALUE_JUMP_HASH,    /* before it is masked */
	VALUE_JUMP_OFFSET,  /* of sum's set in the table of jump targets */
	VALUE_SIGN,	    /* of `bytes` of sum, in all bits */
	VALUE_PUBLIC_COUNT, /* what follows are host addresses and the like: not for the guest */
	VALUE_STALE = VALUE_PUBLIC_COUNT, /* nobody knows */
	VALUE_ENTRY, /* address of sum's entry in the TLB; `access` has compared equal, of `bytes` of sum if that is 4 */
	VALUE_ADDEND,  /* known.check's entry's addend plus sum */
	VALUE_CHECKED, /* host address of known.check's first byte plus sum's constant */
	VALUE_JUMP, /* address of sum's set of jump targets; one has compared equal if `access` */
	VALUE_CODE, /* a jump target's code, after that */
	VALUE_MODE, /* the TLB's entries of another mode */
	VALUE_KEY,  /* of edge `edge` */
	VALUE_KEY_SUM, /* 0 when the key of edge `edge` holds */
};

struct value {
	struct sum sum;
	i32 mask;
	u16 span; /* bytes that lie within the page if the comparison was equal */
	u16 align;
	u8 kind;
	u8 access; /* enum operand_access */
	union {
		u8 edge;
		u8 way; /* of the TLB or the set, in which `access` has compared equal */
	};
	u8 bytes;
	u32 at; /* where the instruction ended that loaded it */
};

/* The access that has been checked: known.check. */
struct checked {
	struct sum sum;
	u16 span, align;
	u8 access;   /* 0: none */
	bool is_low; /* the address is the lower 32 bits of sum */
	u8 padding[2];
};

/* What the flags tell: whether operands were equal, or in what order. */
enum fact_kind {
	FACT_NONE,
	FACT_TLB,	  /* equal: VALUE_ENTRY in RCX is for the access */
	FACT_JUMP,	  /* equal: a way of VALUE_JUMP in RCX is of the sum */
	FACT_SUPERVISOR,  /* equal: CPL is 0 */
	FACT_FPU,	  /* not equal: the FPU's state is as live as `access` says */
	FACT_QUOTIENT,	  /* below: DIV by sum does not overflow */
	FACT_EXTENDED,	  /* equal: RDX is the sign of the sum */
	FACT_NOT_TRIVIAL, /* above: the sum is neither 0 nor -1 */
};

struct fact {
	struct sum sum;
	u16 span, align;
	u8 kind;
	u8 access;
	u8 bytes;
	u8 way;
};

struct known {
	struct value value[2]; /* RAX, RCX */
	struct checked check;
	/* WORD_PLACE: host addresses, of what each has been checked for; without a sum. */
	struct checked places[PLACES];
	struct fact flags;
	struct fact quotient, extended, not_trivial;
	u8 fpu_live;	    /* enum fpu_live */
	bool is_supervisor; /* CPL is 0 */
	bool has_target; /* WORD_TARGET_CODE is the code of a jump target that was looked up here */
	u8 key;		 /* 1 + the edge whose key holds */
	bool is_reachable;
	u8 padding[3];
};

/* Nothing is known. */
void known_nothing(struct known *known);
/* What both say. */
void known_meet(struct known *known, const struct known *other);
/*
 * What is assumed where control may come back from behind: nothing but the FPU's state, and what the other way of a table finds as well:
 * right behind the load of a TLB entry's addend (`at`) that, and a jump target that has compared equal. known_implies takes any two
 * loads for the same.
 */
void known_weaken(struct known *known, u32 at);
bool known_implies(const struct known *known, const struct known *assumed);
/* A term has a new value. */
void known_forget(struct known *known, unsigned term);
/* The bytes stay checked, though what the address was made of has changed. */
struct checked checked_without_sum(const struct checked *check);
void known_set(struct known *known, unsigned scratch, const struct value *value);

static always_inline bool value_is_public(const struct value *value)
{
	return value->kind < VALUE_PUBLIC_COUNT;
}

struct value value_of_kind(unsigned kind);
struct value value_constant(u64 constant);
struct value value_term(unsigned term);
struct value value_jump_found(void); /* the address of a jump target that has compared equal */
struct value value_add(const struct value *a, const struct value *b);
struct value value_scale(const struct value *value, unsigned shift);

/* Do they differ by no more than a constant? *by: a less b. */
bool sum_differs_by(const struct sum *a, const struct sum *b, u64 *by);
bool sum_is_constant(const struct sum *sum);
bool sum_is_equal(const struct sum *a, const struct sum *b);

#endif
