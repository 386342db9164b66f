/* SPDX-License-Identifier: MIT */
/* Operands of host instructions: which memory an instruction reaches, and whether that has been proven. */
#include "engines/translator/verify_step.h"

void step_fail(struct step *s, const char *what)
{
	if (!s->failure)
		s->failure = what;
}

/* ---- values of operands -------------------------------------------------------------------------- */

struct value known_register(const struct known *known, unsigned host)
{
	if (is_scratch(host))
		return known->value[host];
	if (host == RSP)
		return value_of_kind(VALUE_STALE);
	return value_term(host);
}

/* The part of a value that an operand of this size has. */
struct value value_sized(struct value value, unsigned size)
{
	if (size == SIZE_64 || !value_is_public(&value) || value.kind == VALUE_UNKNOWN)
		return value;
	if (size == SIZE_32 && (value.kind == VALUE_SUM || value.kind == VALUE_LOW)) {
		value.kind = VALUE_LOW;
		return value;
	}
	return value_of_kind(VALUE_UNKNOWN);
}

/* ---- memory operands ----------------------------------------------------------------------------- */

/* Base, index and displacement; the segment is the caller's. */
struct value step_address(struct step *s)
{
	const struct insn *insn = s->insn;
	struct value address = value_constant(0), part, displacement;
	if (insn->address_size != SIZE_64 || insn->base == LOCATION_RIP)
		return value_of_kind(VALUE_STALE);
	if (insn->base != LOCATION_ZERO)
		address = known_register(s->known, insn->base >> 3);
	if (insn->index != LOCATION_ZERO) {
		part = known_register(s->known, insn->index >> 3);
		part = value_scale(&part, insn->scale);
		address = value_add(&address, &part);
	}
	displacement = value_constant((u64)(i64)insn->displacement);
	return value_add(&address, &displacement);
}

static void take_word(struct step *s)
{
	const struct insn *insn = s->insn;
	s->memory = MEMORY_WORD;
	s->word = NULL;
	if (insn->base == LOCATION_ZERO && insn->index == LOCATION_ZERO)
		s->word = word_find(insn->displacement, s->bytes, s->access);
	if (!s->word)
		step_fail(s, "a part of the vCPU's state that is not for translated code");
}

static void take_key(struct step *s)
{
	const struct translation *t = s->input->translation;
	u32 at = s->end + (u32)s->insn->displacement;
	s->memory = MEMORY_KEY;
	for (u32 i = 0; i < t->edge_count; i++) {
		if (t->edges[i].key != at || !at)
			continue;
		s->edge = (u8)i;
		if (s->bytes == 8 && s->access == ACCESS_R)
			return;
	}
	step_fail(s, "a RIP-relative operand that is no edge's key");
}

/* Is the access within the bytes that have been checked, and for this kind of access? */
static void take_guest(struct step *s, u64 first, bool must_be_aligned)
{
	const struct checked *check = &s->known->check;
	s->memory = MEMORY_GUEST;
	if (!check->access)
		step_fail(s, "an access with no check before it");
	else if (s->access & ACCESS_W && check->access != ACCESS_W)
		step_fail(s, "a write where reading was checked");
	else if (first >= check->span || first + s->bytes > check->span)
		step_fail(s, "an access beyond what was checked");
	else if (must_be_aligned && (check->align % s->bytes || first % s->bytes))
		step_fail(s, "an access that must be aligned, and was not checked for that");
}

void step_take_address(struct step *s, const struct value *address, bool must_be_aligned)
{
	u64 first;
	switch (address->kind) {
	case VALUE_ADDEND:
		if (!s->known->check.is_low &&
			sum_differs_by(&address->sum, &s->known->check.sum, &first))
			take_guest(s, first, must_be_aligned);
		else
			step_fail(s, "another address than the one that was checked");
		break;
	case VALUE_CHECKED:
		take_guest(s, address->sum.constant, must_be_aligned);
		break;
	default:
		step_fail(s, "an address that was not checked");
	}
}

/* The TLB's ways are TLB_ENTRIES apart, and a page is at the same place in each; those of a set of jump targets lie side by side. */
static void take_way(struct step *s)
{
	bool is_tlb = s->memory == MEMORY_ENTRY;
	const i64 bytes = is_tlb ? TLB_ENTRIES * (i64)sizeof(struct tlb_entry)
				 : (i64)sizeof(struct jump_target);
	const unsigned ways = is_tlb ? TLB_SLOTS / TLB_ENTRIES
				     : sizeof(struct jump_set) / sizeof(struct jump_target);
	while (s->displacement >= bytes && s->way + 1u < ways) {
		s->displacement -= bytes;
		s->way++;
	}
}

/* RCX and a displacement, where RCX is a TLB entry or a jump target: only comparisons and loads that know them. */
static bool take_table(struct step *s)
{
	const struct insn *insn = s->insn;
	if (insn->base != RCX * 8 || insn->index != LOCATION_ZERO)
		return false;
	unsigned kind = s->known->value[RCX].kind;
	if (kind != VALUE_ENTRY && kind != VALUE_JUMP)
		return false;
	s->memory = kind == VALUE_ENTRY ? MEMORY_ENTRY : MEMORY_JUMP;
	s->displacement = insn->displacement;
	take_way(s);
	if (s->bytes != 8 || s->access != ACCESS_R)
		step_fail(s, "a table's entry that is not read as a whole");
	if (s->row->action != ACTION_COMPARE && s->row->action != ACTION_MOVE)
		step_fail(s, "an unknown use of a table's entry");
	return true;
}

/* BT and its like with a register as bit number reach beyond their operand. */
static bool is_bit_string(const struct insn *insn)
{
	return opcode_rows[insn->row].map == 1 &&
		(insn->opcode == 0xa3 || insn->opcode == 0xab || insn->opcode == 0xb3 ||
			insn->opcode == 0xbb);
}

/* NOPs with an operand, and prefetches, which do not fault. */
static bool is_hint(const struct opcode_row *row)
{
	return row->map == 1 && (row->opcode == 0x0d || (row->opcode & 0xf8) == 0x18);
}

void step_take_memory(struct step *s)
{
	const struct insn *insn = s->insn;
	const struct opcode_row *row = &opcode_rows[insn->row];
	if (!(insn->flags & INSN_MEMORY) || s->row->action == ACTION_LEA || is_hint(row))
		return;
	if (s->row->memory == NO_OPERAND) {
		step_fail(s, "memory that no operand names");
		return;
	}
	if (insn->address_size != SIZE_64) {
		step_fail(s, "an address of less than 64 bits");
		return;
	}
	const struct row_operand *operand = &row->operands[s->row->memory];
	s->bytes = (u8)row_operand_bytes(insn, operand, true);
	s->access = operand->access;
	if (!s->bytes || !s->access || is_bit_string(insn)) {
		step_fail(s, "a memory operand whose size is open");
	} else if (insn->segment == SEGMENT_GS) {
		take_word(s);
	} else if (insn->segment != SEGMENT_NONE) {
		step_fail(s, "a segment that is the host's");
	} else if (insn->base == LOCATION_RIP) {
		take_key(s);
	} else if (!take_table(s)) {
		struct value address = step_address(s);
		bool is_exchange = row->map == 0 && (row->opcode & 0xfe) == 0x86;
		step_take_address(
			s, &address, s->row->is_aligned || insn->flags & INSN_LOCK || is_exchange);
	}
}
