/* SPDX-License-Identifier: MIT */
#include "engines/translator/verify_known.h"
#include "base/memory.h"

/* ---- sums ---------------------------------------------------------------------------------------- */

#define EVERY_BYTE 0x0101010101010101

static bool factors_fit(const struct sum *sum, u64 too_much)
{
	u64 all = sum->factors[0] | sum->factors[1] | sum->factors[2] | sum->factors[3];
	return !(all & too_much * EVERY_BYTE);
}

bool sum_differs_by(const struct sum *a, const struct sum *b, u64 *by)
{
	*by = a->constant - b->constant;
	return a->factors[0] == b->factors[0] && a->factors[1] == b->factors[1] &&
		a->factors[2] == b->factors[2] && a->factors[3] == b->factors[3];
}

bool sum_is_equal(const struct sum *a, const struct sum *b)
{
	u64 by;
	return sum_differs_by(a, b, &by) && !by;
}

bool sum_is_constant(const struct sum *sum)
{
	return !(sum->factors[0] | sum->factors[1] | sum->factors[2] | sum->factors[3]);
}

static bool sum_mentions(const struct sum *sum, unsigned term)
{
	return sum->factors[term >> 3] >> (term & 7) * 8 & 0xff;
}

/* ---- values -------------------------------------------------------------------------------------- */

struct value value_of_kind(unsigned kind)
{
	return (struct value){.kind = (u8)kind};
}

struct value value_constant(u64 constant)
{
	return (struct value){.kind = VALUE_SUM, .sum.constant = constant};
}

struct value value_term(unsigned term)
{
	struct value value = {.kind = VALUE_SUM};
	value.sum.factors[term >> 3] = (u64)1 << (term & 7) * 8;
	return value;
}

struct value value_jump_found(void)
{
	return (struct value){.kind = VALUE_JUMP, .access = ACCESS_R};
}

static struct value value_lost(const struct value *a, const struct value *b)
{
	return value_of_kind(
		value_is_public(a) && value_is_public(b) ? VALUE_UNKNOWN : VALUE_STALE);
}

struct value value_scale(const struct value *value, unsigned shift)
{
	if (!shift)
		return *value;
	if (value->kind != VALUE_SUM || !factors_fit(&value->sum, 0xf0))
		return value_lost(value, value);
	struct value scaled = *value;
	for (unsigned i = 0; i < ARRAY_SIZE(scaled.sum.factors); i++)
		scaled.sum.factors[i] <<= shift;
	scaled.sum.constant <<= shift;
	return scaled;
}

static bool is_code_key(const struct value *value)
{
	struct value key = value_term(TERM_CODE_KEY);
	return value->kind == VALUE_SUM && sum_is_equal(&value->sum, &key.sum);
}

/* Not both are addresses; b is the one that is none. */
static struct value add_to(const struct value *a, const struct value *b)
{
	bool adds_any = a->kind == VALUE_SUM || a->kind == VALUE_ADDEND;
	bool adds_constant = adds_any || a->kind == VALUE_CHECKED;
	struct value value = *a;
	if (b->kind == VALUE_KEY && is_code_key(a))
		return (struct value){.kind = VALUE_KEY_SUM, .edge = b->edge, .at = a->at};
	if (b->kind != VALUE_SUM)
		return value_lost(a, b);
	if (sum_is_constant(&b->sum) && !b->sum.constant)
		return value;
	if (!(sum_is_constant(&b->sum) ? adds_constant : adds_any) || !factors_fit(&a->sum, 0x80) ||
		!factors_fit(&b->sum, 0x80))
		return value_lost(a, b);
	for (unsigned i = 0; i < ARRAY_SIZE(value.sum.factors); i++)
		value.sum.factors[i] += b->sum.factors[i];
	value.sum.constant += b->sum.constant;
	return value;
}

struct value value_add(const struct value *a, const struct value *b)
{
	return a->kind == VALUE_SUM && b->kind != VALUE_KEY ? add_to(b, a) : add_to(a, b);
}

/* ---- states -------------------------------------------------------------------------------------- */

void known_nothing(struct known *known)
{
	memset(known, 0, sizeof(*known));
	known->value[RAX].kind = known->value[RCX].kind = VALUE_STALE;
	known->is_reachable = true;
}

static bool fact_is_equal(const struct fact *a, const struct fact *b)
{
	return a->kind == b->kind && !memcmp(a, b, sizeof(*a));
}

static void fact_meet(struct fact *fact, const struct fact *other)
{
	if (!fact_is_equal(fact, other))
		*fact = (struct fact){0};
}

void known_meet(struct known *known, const struct known *other)
{
	for (unsigned i = 0; i < ARRAY_SIZE(known->value); i++)
		if (memcmp(&known->value[i], &other->value[i], sizeof(known->value[i])))
			known->value[i] = value_lost(&known->value[i], &other->value[i]);
	if (memcmp(&known->check, &other->check, sizeof(known->check)))
		known->check = (struct checked){0};
	for (unsigned i = 0; i < PLACES; i++)
		if (memcmp(&known->places[i], &other->places[i], sizeof(known->places[i])))
			known->places[i] = (struct checked){0};
	fact_meet(&known->flags, &other->flags);
	fact_meet(&known->quotient, &other->quotient);
	fact_meet(&known->extended, &other->extended);
	fact_meet(&known->not_trivial, &other->not_trivial);
	known->fpu_live &= other->fpu_live;
	known->is_supervisor &= other->is_supervisor;
	known->has_target &= other->has_target;
	if (known->key != other->key)
		known->key = 0;
}

void known_weaken(struct known *known, u32 at)
{
	struct known before = *known;
	known_nothing(known);
	known->fpu_live = before.fpu_live;
	if (before.value[RCX].kind == VALUE_JUMP && before.value[RCX].access) {
		memcpy(known->places, before.places, sizeof(known->places));
		known->value[RCX] = value_jump_found();
		if (value_is_public(&before.value[RAX]))
			known->value[RAX] = value_of_kind(VALUE_UNKNOWN);
	}
	if (before.value[RCX].kind == VALUE_ADDEND && before.value[RCX].at == at) {
		known->value[RCX] = before.value[RCX];
		known->value[RCX].at = 0;
		known->check = before.check;
		memcpy(known->places, before.places, sizeof(known->places));
		known->has_target = before.has_target;
	}
}

bool known_implies(const struct known *known, const struct known *assumed)
{
	struct known both = *known;
	if (both.value[RCX].kind == VALUE_ADDEND)
		both.value[RCX].at = 0;
	known_meet(&both, assumed);
	return !memcmp(&both, assumed, sizeof(both));
}

/* No address is known by it: whoever points to the bytes knows where they are. */
static const struct sum sum_lost = {.factors[TERM_LOADED >> 3] = 0xff};

struct checked checked_without_sum(const struct checked *check)
{
	struct checked checked = *check;
	checked.sum = sum_lost;
	return checked;
}

static void value_forget(struct value *value, unsigned term)
{
	if (!sum_mentions(&value->sum, term))
		return;
	/* A jump target's address is no guess any more once it has been compared. */
	if (value->kind == VALUE_JUMP && value->access)
		value->sum = (struct sum){0};
	else
		*value = value_lost(value, value);
}

static void fact_forget(struct fact *fact, unsigned term)
{
	if (sum_mentions(&fact->sum, term))
		*fact = (struct fact){0};
}

void known_forget(struct known *known, unsigned term)
{
	value_forget(&known->value[RAX], term);
	value_forget(&known->value[RCX], term);
	if (sum_mentions(&known->check.sum, term))
		known->check = checked_without_sum(&known->check);
	fact_forget(&known->flags, term);
	fact_forget(&known->quotient, term);
	fact_forget(&known->extended, term);
	fact_forget(&known->not_trivial, term);
	if (term == RDX) {
		known->quotient = known->extended = (struct fact){0};
		if (known->flags.kind == FACT_QUOTIENT || known->flags.kind == FACT_EXTENDED)
			known->flags = (struct fact){0};
	}
}

void known_set(struct known *known, unsigned scratch, const struct value *value)
{
	if (known->flags.kind == FACT_TLB || known->flags.kind == FACT_JUMP)
		known->flags = (struct fact){0};
	known->value[scratch] = *value;
}
