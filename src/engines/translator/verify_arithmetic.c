/* SPDX-License-Identifier: MIT */
/* Where checks are made of: additions, masks, comparisons, and what a branch says of them. */
#include "engines/translator/verify_step.h"

static unsigned operand_bytes(const struct insn *insn)
{
	return 1u << insn->operand_size;
}

/* ---- arithmetic ---------------------------------------------------------------------------------- */

/* Destination and source of an instruction of two operands, whichever form it has. */
struct pair {
	bool to_memory;
	unsigned to;
	struct value a, b;
};

static struct value memory_value(struct step *s)
{
	struct value value = value_of_kind(VALUE_UNKNOWN);
	if (s->memory == MEMORY_WORD && s->word && s->word->term != TERM_NONE && s->bytes >= 4 &&
		s->insn->displacement % 8 == 0)
		value = value_sized(value_term(s->word->term), s->insn->operand_size);
	return value;
}

static struct value rm_value(struct step *s)
{
	return s->insn->flags & INSN_MEMORY
		? memory_value(s)
		: value_sized(known_register(s->known, s->insn->rm >> 3), s->insn->operand_size);
}

static struct pair pair_get(struct step *s)
{
	const struct insn *insn = s->insn;
	struct pair pair = {0};
	struct value reg = value_sized(
			     known_register(s->known, insn->reg >> 3), insn->operand_size),
		     rm = rm_value(s);
	if (insn->opcode == 0x03 || insn->opcode == 0x3b) {
		pair.to = insn->reg >> 3;
		pair.a = reg;
		pair.b = rm;
		return pair;
	}
	pair.to_memory = insn->flags & INSN_MEMORY;
	pair.to = insn->rm >> 3;
	pair.a = rm;
	pair.b = insn->opcode >= 0x80 ? value_constant(insn->immediate) : reg;
	return pair;
}

static bool is_small(const struct value *value)
{
	return value->kind == VALUE_SUM && sum_is_constant(&value->sum) &&
		value->sum.constant < PAGE_SIZE;
}

void step_add(struct step *s)
{
	unsigned size = s->insn->operand_size;
	struct pair pair = pair_get(s);
	struct value sum;
	if (pair.to_memory || !is_scratch(pair.to)) {
		step_plain(s);
		return;
	}
	bool is_word = s->memory == MEMORY_WORD && s->word && size == SIZE_64;
	if (is_word && s->word->use == WORD_IS_TLB && pair.a.kind == VALUE_INDEX)
		sum = (struct value){.kind = VALUE_ENTRY, .sum = pair.a.sum};
	else if (is_word && s->word->use == WORD_IS_JUMPS && pair.a.kind == VALUE_JUMP_OFFSET)
		sum = (struct value){.kind = VALUE_JUMP, .sum = pair.a.sum};
	else {
		step_check_word(s);
		sum = value_of_kind(VALUE_UNKNOWN);
		if (pair.a.kind == VALUE_LOW && size == SIZE_32 &&
			(pair.b.kind == VALUE_SUM || pair.b.kind == VALUE_LOW)) {
			pair.a.kind = pair.b.kind = VALUE_SUM;
			sum = value_sized(value_add(&pair.a, &pair.b), SIZE_32);
		} else if (pair.a.kind == VALUE_LOW && is_small(&pair.b)) {
			sum = pair.a;
			sum.kind = VALUE_LOW_SUM;
			sum.span = (u16)pair.b.sum.constant;
		} else if (size == SIZE_64)
			sum = value_add(&pair.a, &pair.b);
		else if (!value_is_public(&pair.a) || !value_is_public(&pair.b))
			sum = value_of_kind(VALUE_STALE);
	}
	step_result(s, pair.to, &sum);
}

static struct value masked(const struct step *s, const struct value *value)
{
	const struct insn *insn = s->insn;
	u32 immediate = (u32)insn->immediate;
	bool is_32 = insn->operand_size == SIZE_32;
	if (insn->operand_size == SIZE_64 && value->kind == VALUE_SUM)
		return (struct value){
			.kind = VALUE_PAGE, .sum = value->sum, .mask = (i32)immediate};
	if (insn->operand_size == SIZE_64 &&
		(value->kind == VALUE_LOW || value->kind == VALUE_LOW_SUM))
		return (struct value){.kind = VALUE_PAGE,
			.sum = value->sum,
			.mask = (i32)immediate,
			.span = value->span,
			.bytes = 4};
	if (is_32 && value->kind == VALUE_SHIFTED &&
		immediate == (TLB_ENTRIES - 1) * sizeof(struct tlb_entry))
		return (struct value){.kind = VALUE_INDEX, .sum = value->sum};
	if (is_32 && value->kind == VALUE_JUMP_HASH && immediate == JUMP_OFFSET_MASK)
		return (struct value){.kind = VALUE_JUMP_OFFSET, .sum = value->sum};
	return value_of_kind(VALUE_UNKNOWN);
}

static struct value shifted(const struct step *s, const struct value *value)
{
	const struct insn *insn = s->insn;
	unsigned group = insn->modrm >> 3 & 7, count = (u8)insn->immediate;
	bool is_32 = insn->operand_size == SIZE_32;
	struct value low =
		value->kind == VALUE_LOW && is_32 ? *value : value_of_kind(VALUE_UNKNOWN);
	if (group == 5 && low.kind == VALUE_LOW && count == PAGE_SHIFT - 5)
		return (struct value){.kind = VALUE_SHIFTED, .sum = low.sum};
	if (group == 5 && value->kind == VALUE_JUMP_PRODUCT && is_32 && count == JUMP_HASH_SHIFT)
		return (struct value){.kind = VALUE_JUMP_HASH, .sum = value->sum};
	if (group == 7 && value->kind == VALUE_SUM && !is_32 && count == 63)
		return (struct value){.kind = VALUE_SIGN, .sum = value->sum, .bytes = 8};
	if (group == 7 && low.kind == VALUE_LOW && count == 31)
		return (struct value){.kind = VALUE_SIGN, .sum = low.sum, .bytes = 4};
	return value_of_kind(VALUE_UNKNOWN);
}

void step_bits(struct step *s)
{
	unsigned host = s->insn->rm >> 3;
	if (s->insn->flags & INSN_MEMORY || !is_scratch(host) || s->insn->operand_size < SIZE_32) {
		step_plain(s);
		return;
	}
	step_read_registers(s);
	struct value value = s->known->value[host];
	value = s->row->action == ACTION_AND ? masked(s, &value) : shifted(s, &value);
	step_result(s, host, &value);
}

void step_multiply(struct step *s)
{
	const struct insn *insn = s->insn;
	unsigned to = insn->reg >> 3;
	if (insn->flags & INSN_MEMORY || !is_scratch(to)) {
		step_plain(s);
		return;
	}
	step_read_registers(s);
	struct value value = rm_value(s);
	if (value.kind == VALUE_LOW && insn->operand_size == SIZE_32 &&
		(u32)insn->immediate == JUMP_HASH)
		value.kind = VALUE_JUMP_PRODUCT;
	else
		value = value_of_kind(VALUE_UNKNOWN);
	step_result(s, to, &value);
}

/* ---- comparisons --------------------------------------------------------------------------------- */

/*
 * RAX with a tag: equal, it is the page of the last byte (or of the only aligned unit), and the entry is the first byte's. An
 * entry is only where the page's number says, so that both are in that page.
 */
static struct fact compare_tag(struct step *s)
{
	const struct value *page = &s->known->value[RAX], *entry = &s->known->value[RCX];
	u32 low = (u32)page->mask & (u32)~PAGE_MASK;
	u64 before = 0;
	bool is_read = s->displacement == __builtin_offsetof(struct tlb_entry, read);
	if (!is_read && s->displacement != __builtin_offsetof(struct tlb_entry, write))
		step_fail(s, "a TLB entry's field that is no tag for data");
	bool is_same = sum_differs_by(&page->sum, &entry->sum, &before);
	bool is_low = page->kind == VALUE_PAGE && page->bytes == 4;
	if (is_low) {
		is_same &= !before;
		before = page->span;
	}
	if (page->kind != VALUE_PAGE || !is_same || before >= PAGE_SIZE ||
		page->mask >> PAGE_SHIFT != -1 || low & (low + 1))
		step_fail(s, "a TLB entry's tag is compared with another page");
	return (struct fact){.kind = FACT_TLB,
		.access = is_read ? ACCESS_R : ACCESS_W,
		.way = s->way,
		.bytes = is_low ? 4 : 0,
		.span = (u16)(before + low + 1),
		.align = (u16)(before % (low + 1) ? 1 : low + 1)};
}

static struct fact compare_jump(struct step *s)
{
	const struct value *value = &s->known->value[RAX], *jump = &s->known->value[RCX];
	if (s->displacement != __builtin_offsetof(struct jump_target, linear) ||
		(value->kind != VALUE_SUM && value->kind != VALUE_LOW) ||
		!sum_is_equal(&value->sum, &jump->sum) || jump->access)
		step_fail(s, "a jump target is compared with something else");
	return (struct fact){.kind = FACT_JUMP, .access = ACCESS_R, .way = s->way};
}

/* What a division will rely on. */
static struct fact compare_values(const struct step *s, const struct pair *pair)
{
	unsigned bytes = operand_bytes(s->insn), kind = bytes == 8 ? VALUE_SUM : VALUE_LOW;
	struct fact fact = {.bytes = (u8)bytes};
	bool is_rdx = !pair->to_memory && pair->to == RDX;
	if (bytes < 4)
		return fact;
	if (is_rdx && pair->b.kind == kind) {
		fact.kind = FACT_QUOTIENT;
		fact.sum = pair->b.sum;
	}
	const struct value *sign = &s->known->value[RAX];
	if (is_rdx && s->insn->opcode == 0x39 && s->insn->reg == RAX * 8 &&
		sign->kind == VALUE_SIGN && sign->bytes == bytes) {
		fact.kind = FACT_EXTENDED;
		fact.sum = sign->sum;
	}
	/* n + 1 above 1 */
	if (pair->a.kind == kind && pair->b.kind == VALUE_SUM && sum_is_constant(&pair->b.sum) &&
		pair->b.sum.constant == 1) {
		fact.kind = FACT_NOT_TRIVIAL;
		fact.sum = pair->a.sum;
		fact.sum.constant--;
	}
	return fact;
}

void step_compare(struct step *s)
{
	struct pair pair = pair_get(s);
	struct fact fact = {0};
	if (s->memory == MEMORY_ENTRY || s->memory == MEMORY_JUMP) {
		if (s->insn->opcode != 0x3b || s->insn->reg != RAX * 8)
			step_fail(s, "a table's entry is compared with another register");
		else
			fact = s->memory == MEMORY_ENTRY ? compare_tag(s) : compare_jump(s);
	} else if (s->memory == MEMORY_WORD && s->word && s->word->use == WORD_IS_CPL) {
		if (s->insn->opcode == 0x80 && s->insn->displacement == OFFSET_OF(cpl) &&
			!s->insn->immediate)
			fact.kind = FACT_SUPERVISOR;
	} else {
		step_check_word(s);
		step_read_registers(s);
		fact = compare_values(s, &pair);
	}
	step_effects(s);
	s->known->flags = fact;
}

/* Of the bits that tell what of the FPU's state is live; whichever there is, FPU_SSE is. */
void step_test(struct step *s)
{
	u8 bit = (u8)s->insn->immediate;
	if (s->memory != MEMORY_WORD || !s->word || s->word->use != WORD_IS_FPU) {
		step_plain(s);
		return;
	}
	step_effects(s);
	if (s->insn->displacement == OFFSET_WORD(WORD_FPU_LIVE) &&
		(bit == fpu_live_bit(FPU_SSE) || bit == fpu_live_bit(FPU_AVX) ||
			bit == fpu_live_bit(FPU_X87)))
		s->known->flags = (struct fact){.kind = FACT_FPU, .access = bit | FPU_SSE};
}

static bool fact_holds(const struct fact *fact, const struct value *value, unsigned bytes)
{
	return fact->kind && fact->bytes == bytes &&
		value->kind == (bytes == 8 ? VALUE_SUM : VALUE_LOW) &&
		sum_is_equal(&fact->sum, &value->sum);
}

/* A division that the host would answer with #DE has been left to the semantics. */
void step_divide(struct step *s)
{
	unsigned bytes = operand_bytes(s->insn);
	const struct known *known = s->known;
	struct value divisor = rm_value(s),
		     dividend = value_sized(known->value[RAX], s->insn->operand_size);
	bool is_signed = (s->insn->modrm >> 3 & 7) == 7;
	bool is_safe = is_signed ? fact_holds(&known->extended, &dividend, bytes) &&
			fact_holds(&known->not_trivial, &divisor, bytes)
				 : fact_holds(&known->quotient, &divisor, bytes);
	if (s->memory == MEMORY_GUEST || bytes < 4 || !is_safe)
		step_fail(s, "a division that may overflow");
	step_plain(s);
}

/* What a taken, or not taken, conditional branch says of the comparison: of facts, the ones that follow. */
enum outcome { OUTCOME_OTHER, OUTCOME_EQUAL, OUTCOME_NOT_EQUAL, OUTCOME_BELOW, OUTCOME_ABOVE };

static void apply(struct known *known, enum outcome outcome)
{
	static const u8 wanted[] = {
		[FACT_TLB] = OUTCOME_EQUAL,
		[FACT_JUMP] = OUTCOME_EQUAL,
		[FACT_SUPERVISOR] = OUTCOME_EQUAL,
		[FACT_FPU] = OUTCOME_NOT_EQUAL,
		[FACT_QUOTIENT] = OUTCOME_BELOW,
		[FACT_EXTENDED] = OUTCOME_EQUAL,
		[FACT_NOT_TRIVIAL] = OUTCOME_ABOVE,
	};
	const struct fact *fact = &known->flags;
	struct value *rcx = &known->value[RCX];
	if (fact->kind == FACT_NONE || wanted[fact->kind] != outcome)
		return;
	switch (fact->kind) {
	case FACT_TLB:
		rcx->access = fact->access;
		rcx->way = fact->way;
		rcx->bytes = fact->bytes;
		rcx->span = fact->span;
		rcx->align = fact->align;
		break;
	case FACT_JUMP:
		rcx->access = fact->access;
		rcx->way = fact->way;
		break;
	case FACT_SUPERVISOR:
		known->is_supervisor = true;
		break;
	case FACT_FPU:
		known->fpu_live |= fact->access;
		break;
	case FACT_QUOTIENT:
		known->quotient = *fact;
		break;
	case FACT_EXTENDED:
		known->extended = *fact;
		break;
	case FACT_NOT_TRIVIAL:
		known->not_trivial = *fact;
		break;
	}
}

void step_condition(struct known *known, unsigned condition, bool is_taken)
{
	static const u8 outcomes[16] = {[2] = OUTCOME_BELOW,
		[4] = OUTCOME_EQUAL,
		[5] = OUTCOME_NOT_EQUAL,
		[7] = OUTCOME_ABOVE};
	apply(known, outcomes[is_taken ? condition : condition ^ 1]);
}
