/* SPDX-License-Identifier: MIT */
/* What host instructions do to registers and words: the plain ones, and moves. */
#include "base/memory.h"
#include "engines/translator/verify_step.h"

#define INSN_BYTES_MAX 15 /* a block's last instruction may go on in the next page */

/* ---- what is read and written ------------------------------------------------------------------ */

/* May the guest see this register? */
static void check_read(struct step *s, u8 location)
{
	struct value value = known_register(s->known, location >> 3);
	if (!value_is_public(&value))
		step_fail(s,
			location >> 3 == RSP ? "the host's stack pointer"
					     : "a host address or an old value is used as a value");
}

static void write_register(struct step *s, unsigned host, bool is_whole)
{
	if (host == RSP) {
		step_fail(s, "the host's stack pointer");
	} else if (!is_scratch(host)) {
		known_forget(s->known, host);
	} else {
		/* A part of something old stays old. */
		struct value value = s->known->value[host];
		value = value_of_kind(
			is_whole || value_is_public(&value) ? VALUE_UNKNOWN : VALUE_STALE);
		known_set(s->known, host, &value);
	}
}

void step_read_registers(struct step *s)
{
	const struct insn *insn = s->insn;
	const struct row_facts *row = s->row;
	bool is_memory = insn->flags & INSN_MEMORY;
	if (row->reg & ACCESS_R)
		check_read(s, insn->reg);
	if (row->rm & ACCESS_R && !is_memory)
		check_read(s, insn->rm);
	if (row->vvvv & ACCESS_R)
		check_read(s, insn->vvvv * 8);
	if (row->fixed & ACCESS_R)
		check_read(s, RAX * 8);
}

static bool writes_whole(const struct insn *insn, unsigned operand)
{
	return row_operand_bytes(insn, &opcode_rows[insn->row].operands[operand], false) >= 4;
}

static void write_registers(struct step *s)
{
	const struct insn *insn = s->insn;
	const struct row_facts *row = s->row;
	bool is_memory = insn->flags & INSN_MEMORY, is_whole = insn->operand_size >= SIZE_32;
	if (row->reg & ACCESS_W)
		write_register(s, insn->reg >> 3, writes_whole(insn, row->reg_operand));
	if (row->rm & ACCESS_W && !is_memory)
		write_register(s, insn->rm >> 3, writes_whole(insn, row->rm_operand));
	if (row->vvvv & ACCESS_W)
		write_register(s, insn->vvvv, writes_whole(insn, row->vvvv_operand));
	if (row->fixed & ACCESS_W)
		write_register(s, RAX, is_whole && !row->is_fixed_part);
	if (row->implies_rdx)
		write_register(s, RDX, is_whole);
}

static void write_memory(struct step *s)
{
	if (s->memory == MEMORY_WORD && s->access & ACCESS_W && s->word &&
		s->word->term != TERM_NONE)
		known_forget(s->known, s->word->term);
}

/* A word of the engine's own: only instructions that know it. */
void step_check_word(struct step *s)
{
	if (s->memory == MEMORY_WORD && s->word && s->word->use != WORD_PLAIN)
		step_fail(s, "an unknown use of a word of the engine's");
}

void step_effects(struct step *s)
{
	write_memory(s);
	write_registers(s);
	if (s->row->sets_flags)
		s->known->flags = (struct fact){0};
}

void step_plain(struct step *s)
{
	step_check_word(s);
	step_read_registers(s);
	if (s->row->fpu & ~s->known->fpu_live)
		step_fail(s, "an FPU register before the guest's are there");
	step_effects(s);
}

/* Writes everything, and what the destination, if it is scratch, has become. */
void step_result(struct step *s, unsigned host, const struct value *value)
{
	step_effects(s);
	if (is_scratch(host))
		known_set(s->known, host, value);
	else if (!value_is_public(value))
		step_fail(s, "a host address for the guest");
}

/* ---- moves --------------------------------------------------------------------------------------- */

/* Something from memory that has no name yet. */
static struct value loaded(struct step *s)
{
	struct value value = value_term(TERM_LOADED);
	known_forget(s->known, TERM_LOADED);
	return value_sized(value, s->insn->operand_size);
}

/* From now on `check` is what has been checked; the other scratch register may have pointed into what was before. */
static void set_check(struct known *known, unsigned to, const struct checked *check)
{
	struct value *other = &known->value[to ^ RCX ^ RAX];
	known->check = *check;
	if (other->kind == VALUE_ADDEND || other->kind == VALUE_CHECKED)
		*other = value_of_kind(VALUE_STALE);
}

/* The comparison is done. */
static struct value load_addend(struct step *s, unsigned to)
{
	struct known *known = s->known;
	struct value entry = known->value[RCX];
	if (!entry.access || entry.way != s->way || !is_scratch(to)) {
		step_fail(s, "a TLB entry's addend before its tag was compared");
		return value_of_kind(VALUE_STALE);
	}
	struct checked check = {.sum = entry.sum,
		.span = entry.span,
		.align = entry.align,
		.access = entry.access,
		.is_low = entry.bytes == 4};
	set_check(known, to, &check);
	return (struct value){.kind = VALUE_ADDEND, .at = s->end};
}

static struct checked *place_of(struct step *s)
{
	return &s->known->places[(s->insn->displacement - OFFSET_WORD(WORD_PLACE)) / 8];
}

/* A host address that has been checked, and kept. */
static struct value load_place(struct step *s, unsigned to)
{
	struct checked check = *place_of(s);
	if (!check.access || s->bytes != 8 || !is_scratch(to)) {
		step_fail(s, "a place with no check before it");
		return value_of_kind(VALUE_STALE);
	}
	set_check(s->known, to, &check);
	return value_of_kind(VALUE_CHECKED);
}

static struct value load_word(struct step *s, unsigned to)
{
	const struct word *word = s->word;
	if (word && word->use == WORD_IS_PLACE)
		return load_place(s, to);
	if (word && word->use == WORD_IS_MODE && s->bytes == 8)
		return value_of_kind(VALUE_MODE);
	if (!word || word->use != WORD_PLAIN) {
		step_check_word(s);
		return value_of_kind(VALUE_UNKNOWN);
	}
	if (word->term == TERM_NONE || s->bytes < 4 || s->insn->displacement % 8)
		return value_of_kind(VALUE_UNKNOWN);
	struct value value = value_term(word->term);
	value.at = s->end;
	return value_sized(value, s->insn->operand_size);
}

static struct value load_value(struct step *s, unsigned to)
{
	switch (s->memory) {
	case MEMORY_WORD:
		return load_word(s, to);
	case MEMORY_KEY:
		return (struct value){.kind = VALUE_KEY, .edge = s->edge};
	case MEMORY_ENTRY:
		if (s->displacement == __builtin_offsetof(struct tlb_entry, addend))
			return load_addend(s, to);
		step_fail(s, "a TLB entry's tag is loaded");
		return value_of_kind(VALUE_STALE);
	case MEMORY_JUMP:
		if (s->displacement == __builtin_offsetof(struct jump_target, code) &&
			s->known->value[RCX].access && s->known->value[RCX].way == s->way)
			return value_of_kind(VALUE_CODE);
		step_fail(s, "a jump target's code before it was compared");
		return value_of_kind(VALUE_STALE);
	default:
		return is_scratch(to) ? loaded(s) : value_of_kind(VALUE_UNKNOWN);
	}
}

/* Other entries: what the old ones were asked holds no longer. */
static void change_mode(struct step *s)
{
	struct known *known = s->known;
	known->check = (struct checked){0};
	memset(known->places, 0, sizeof(known->places));
	known->flags = (struct fact){0};
	for (unsigned i = 0; i < ARRAY_SIZE(known->value); i++)
		if (!value_is_public(&known->value[i]))
			known->value[i] = value_of_kind(VALUE_STALE);
}

/* One of `count` structures at `array`. */
static bool is_one_of(const struct value *value, const void *array, u64 count, u64 bytes)
{
	u64 offset = value->sum.constant - (u64)(uintptr_t)array;
	return value->kind == VALUE_SUM && sum_is_constant(&value->sum) && offset < count * bytes &&
		offset % bytes == 0;
}

/* What the engine, or later code, trusts: not what the guest says. */
static void store_word(struct step *s, const struct value *value)
{
	const struct translation *t = s->input->translation;
	bool is_good = s->bytes == 8;
	switch (s->word->use) {
	case WORD_IS_EDGE:
		is_good &= is_one_of(value, t->edges, t->edge_count, sizeof(struct edge));
		break;
	case WORD_IS_START:
		is_good &= is_one_of(value, t->block->insns, 1, sizeof(struct insn));
		break;
	case WORD_IS_CODE:
		is_good &= value->kind == VALUE_CODE;
		s->known->has_target = true;
		break;
	case WORD_IS_PLACE:
		is_good &= value->kind == VALUE_CHECKED && !value->sum.constant;
		*place_of(s) = checked_without_sum(&s->known->check);
		break;
	case WORD_IS_TLB:
		is_good &= value->kind == VALUE_MODE && s->known->is_supervisor;
		change_mode(s);
		break;
	default:
		is_good = false;
	}
	if (!is_good)
		step_fail(s, "what the engine will trust is not what it must be");
}

/* cpu->tlb_mode, which says what data_tlb is. */
static void step_store_byte(struct step *s)
{
	u64 mode = s->insn->immediate;
	bool is_mode = s->memory == MEMORY_WORD && s->word && s->word->use == WORD_IS_CPL;
	if (!is_mode)
		step_plain(s);
	else if (!s->known->is_supervisor ||
		(mode != TLB_SUPERVISOR && mode != TLB_SUPERVISOR_USER_OK))
		step_fail(s, "a mode that is not the guest's");
}

static void step_move(struct step *s)
{
	const struct insn *insn = s->insn;
	bool is_memory = insn->flags & INSN_MEMORY, is_store = insn->opcode == 0x89;
	unsigned reg = insn->reg >> 3, rm = insn->rm >> 3;
	if (is_memory && is_store) {
		struct value stored = known_register(s->known, reg);
		if (s->memory == MEMORY_WORD && s->word && s->word->use != WORD_PLAIN)
			store_word(s, &stored);
		else
			check_read(s, insn->reg);
		step_effects(s);
		return;
	}
	unsigned to = is_store ? rm : reg;
	struct value value;
	if (is_memory) {
		value = load_value(s, to);
	} else {
		value = known_register(s->known, is_store ? reg : rm);
		if (is_scratch(to) && value_is_public(&value))
			value = value_sized(value, insn->operand_size);
		else if (insn->operand_size != SIZE_64 && !value_is_public(&value))
			value = value_of_kind(VALUE_STALE);
	}
	if (insn->operand_size < SIZE_32 && is_scratch(to))
		value = value_of_kind(
			value_is_public(&s->known->value[to]) && value_is_public(&value)
				? VALUE_UNKNOWN
				: VALUE_STALE);
	step_result(s, to, &value);
}

static void step_constant(struct step *s)
{
	struct value value = value_constant(s->insn->immediate);
	if (s->insn->operand_size == SIZE_32)
		value.sum.constant = (u32)s->insn->immediate;
	else if (s->insn->operand_size != SIZE_64)
		value = value_of_kind(VALUE_UNKNOWN);
	step_result(s, s->insn->reg >> 3, &value);
}

/* From a set to the way that has compared equal. */
static bool is_way_found(const struct step *s)
{
	const struct insn *insn = s->insn;
	const struct value *jump = &s->known->value[RCX];
	return insn->base == RCX * 8 && insn->index == LOCATION_ZERO &&
		insn->operand_size == SIZE_64 && insn->address_size == SIZE_64 &&
		jump->kind == VALUE_JUMP && jump->access && jump->way &&
		insn->displacement == jump->way * (i32)sizeof(struct jump_target);
}

/* RCX is an addend, RAX the lower 32 bits of the address whose check it is of: their sum is where the bytes are. */
static bool is_low_address(const struct step *s)
{
	const struct known *known = s->known;
	const struct insn *insn = s->insn;
	const struct value *addend = &known->value[RCX], *low = &known->value[RAX];
	return insn->address_size == SIZE_64 && insn->operand_size == SIZE_64 &&
		insn->base == RCX * 8 && insn->index == RAX * 8 && !insn->scale &&
		!insn->displacement && addend->kind == VALUE_ADDEND &&
		sum_is_constant(&addend->sum) && !addend->sum.constant && known->check.access &&
		known->check.is_low && low->kind == VALUE_LOW &&
		sum_is_equal(&low->sum, &known->check.sum);
}

static void step_lea(struct step *s)
{
	struct value address = is_way_found(s) ? value_jump_found() : step_address(s);
	u64 by;
	if (s->insn->operand_size != SIZE_64)
		address = value_is_public(&address) ? value_sized(address, s->insn->operand_size)
						    : value_of_kind(VALUE_STALE);
	/* From here on registers may change: it points to the bytes. */
	if (is_low_address(s))
		address = (struct value){.kind = VALUE_CHECKED};
	else if (address.kind == VALUE_ADDEND && !s->known->check.is_low &&
		sum_differs_by(&address.sum, &s->known->check.sum, &by))
		address = (struct value){.kind = VALUE_CHECKED, .sum.constant = by};
	step_result(s, s->insn->reg >> 3, &address);
}

/* ---- all of them --------------------------------------------------------------------------------- */

static void step_flags(struct step *s)
{
	struct value value = value_of_kind(VALUE_UNKNOWN);
	known_set(s->known, RAX, &value);
}

bool step_is_jump_target(struct step *s)
{
	const struct value *jump = &s->known->value[RCX];
	const struct insn *insn = s->insn;
	if (!(insn->flags & INSN_MEMORY) || insn->address_size != SIZE_64 ||
		insn->operand_size != SIZE_64 || insn->index != LOCATION_ZERO)
		return false;
	if (insn->segment == SEGMENT_GS)
		return insn->base == LOCATION_ZERO &&
			insn->displacement == OFFSET_WORD(WORD_TARGET_CODE) && s->known->has_target;
	return insn->segment == SEGMENT_NONE && insn->base == RCX * 8 &&
		insn->displacement == __builtin_offsetof(struct jump_target, code) &&
		jump->kind == VALUE_JUMP && jump->access && !jump->way;
}

bool step_has_arguments(const struct step *s)
{
	const struct block *block = s->input->translation->block;
	const struct value *insn = &s->known->value[RAX], *next = &s->known->value[RCX];
	if (insn->kind != VALUE_SUM || next->kind != VALUE_SUM || !sum_is_constant(&insn->sum) ||
		!sum_is_constant(&next->sum))
		return false;
	u64 offset = insn->sum.constant - (u64)(uintptr_t)block->insns;
	return offset < block->count * sizeof(struct insn) && offset % sizeof(struct insn) == 0 &&
		next->sum.constant < PAGE_SIZE + INSN_BYTES_MAX;
}

void step_run(struct step *s)
{
	static void (*const steps[])(struct step *) = {
		[ACTION_PLAIN] = step_plain,
		[ACTION_MOVE] = step_move,
		[ACTION_CONSTANT] = step_constant,
		[ACTION_STORE_BYTE] = step_store_byte,
		[ACTION_LEA] = step_lea,
		[ACTION_ADD] = step_add,
		[ACTION_AND] = step_bits,
		[ACTION_SHIFT] = step_bits,
		[ACTION_MULTIPLY] = step_multiply,
		[ACTION_COMPARE] = step_compare,
		[ACTION_TEST] = step_test,
		[ACTION_FLAGS] = step_flags,
		[ACTION_DIVIDE] = step_divide,
	};
	if (s->insn->flags & (INSN_REP | INSN_REPNE)) {
		step_fail(s, "an instruction that translated code never has");
		return;
	}
	step_take_memory(s);
	steps[s->row->action](s);
}
