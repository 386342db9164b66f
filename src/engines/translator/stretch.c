/* SPDX-License-Identifier: MIT */
/* A stretch's code: the checks, the instructions with operands that have been checked, and the same instructions each by itself. */
#include "engines/translator/build.h"

void stretch_lose_address(struct build *b)
{
	b->stretch.held = NO_GROUP;
}

/* ---- the stack pointer --------------------------------------------------------------------------- */

void stretch_move_stack(struct build *b, i32 delta)
{
	u8 rsp = host_register(RSP);
	if (b->stretch.is_active)
		b->stretch.stack += delta;
	else
		emit_lea(b->code, rsp, place_base(rsp, delta));
	flags_register_written(&b->flags, RSP);
}

/* LEA leaves flags alone. */
static void stack_settle(struct build *b)
{
	u8 rsp = host_register(RSP);
	if (b->stretch.stack)
		emit_lea(b->code, rsp, place_base(rsp, b->stretch.stack));
	b->stretch.stack = 0;
}

/* A row of pushes or pops moves RSP once. */
static bool leaves_stack(const struct insn *insn)
{
	return opcode_rows[insn->row].map == 0 &&
		((insn->opcode & 0xf0) == 0x50 || insn->opcode == 0x68 || insn->opcode == 0x6a);
}

/* ---- operands ------------------------------------------------------------------------------------ */

static struct place word_of(unsigned group)
{
	return place_vcpu(OFFSET_WORD(WORD_PLACE) + 8 * (i32)group);
}

struct place stretch_operand(struct build *b)
{
	struct stretch *s = &b->stretch;
	unsigned number = s->group[b->index];
	const struct group *group = &s->groups[number];
	if (s->held != number) {
		/* Something has taken HOST_ADDRESS in between. */
		if (!group->is_used_later)
			s->is_broken = s->keeps_all = true;
		emit_load(b->code, HOST_ADDRESS, word_of(number));
		s->held = (u8)number;
	}
	return place_base(HOST_ADDRESS, s->displacement[b->index] - group->address.displacement);
}

/* HOST_ADDRESS points to the first byte afterwards. */
static void emit_group(struct build *b, struct aside *aside, unsigned number)
{
	const struct group *group = &b->stretch.groups[number];
	struct place place = check_group(b, aside, group);
	emit_lea(b->code, HOST_ADDRESS, place);
	if (group->is_used_later)
		emit_store(b->code, word_of(number), HOST_ADDRESS);
	b->stretch.held = (u8)number;
}

/* ---- the instructions ---------------------------------------------------------------------------- */

static void next_insn(struct build *b)
{
	b->index++;
	b->insn++;
	b->offset_next += b->insn->length;
	if (!b->stretch.is_off)
		b->insn_at[b->index] = b->code->at;
}

static void emit_insns(struct build *b)
{
	for (;;) {
		if (!leaves_stack(b->insn))
			stack_settle(b);
		build_insn(b);
		if (b->index + 1 == b->stretch.end || b->stretch.is_broken)
			break;
		next_insn(b);
	}
	stack_settle(b);
}

/* An access that was not foreseen has come back from the semantics: the checks may not hold any more. */
static bool has_asides(const struct build *b, unsigned from)
{
	for (unsigned i = from; i < b->aside_count; i++)
		if (b->aside[i].kind == ASIDE_INSN &&
			b->aside[i].jump_count + b->aside[i].miss_count)
			return true;
	return false;
}

/* False: another plan is needed. */
static bool emit_stretch(struct build *b)
{
	struct stretch *s = &b->stretch;
	unsigned first = s->group[b->index];
	if (s->fpu)
		build_fpu(b, s->fpu);
	flags_clobber(b->code, &b->flags);
	struct aside *aside = aside_open(b, ASIDE_STRETCH);
	aside->index = b->index;
	aside->count = s->end - b->index;
	aside->fpu_live = b->fpu_live;
	for (unsigned i = 0; i < s->group_count; i++)
		if (i != first)
			emit_group(b, aside, i);
	emit_group(b, aside, first);
	s->is_active = true;
	unsigned asides = b->aside_count;
	emit_insns(b);
	s->is_active = false;
	s->is_broken |= has_asides(b, asides);
	aside_close(b, aside);
	return !s->is_broken;
}

bool stretch_build(struct build *b)
{
	struct stretch *s = &b->stretch;
	struct build_mark mark = {.index = b->index,
		.offset_next = b->offset_next,
		.code_at = b->code->at,
		.flags = b->flags,
		.fpu_live = b->fpu_live,
		.x87 = b->x87,
		.aside_count = b->aside_count,
		.edge_count = b->edge_count};
	u32 limit = b->block->count;
	s->keeps_all = false;
	while (!s->is_off && stretch_plan(s, b->block, b->index, b->offset_next, limit)) {
		s->stack = 0;
		s->is_broken = false;
		bool kept_all = s->keeps_all;
		if (emit_stretch(b))
			return true;
		if (s->keeps_all == kept_all)
			limit = b->index;
		build_rewind(b, &mark);
	}
	return false;
}

/* ---- each by itself ------------------------------------------------------------------------------ */

/* What the code goes on with expects of the flags. */
static void settle_flags(struct build *b, const struct flags *after)
{
	if (after->in_host)
		flags_to_host(b->code, &b->flags);
	if (after->in_memory)
		flags_to_memory(b->code, &b->flags);
}

void stretch_emit_aside(struct build *b, const struct aside *aside)
{
	unsigned index = b->index;
	b->index = aside->index;
	b->insn = aside->insn;
	b->offset_next = aside->offset_next;
	b->flags = aside->before;
	b->fpu_live = aside->fpu_live;
	b->x87 = aside->x87;
	b->ends = false;
	b->stretch.is_off = true;
	for (u32 i = 0; i < aside->count; i++) {
		if (i)
			next_insn(b);
		build_insn(b);
	}
	b->stretch.is_off = false;
	b->index = index;
	if (b->ends)
		return;
	settle_flags(b, &aside->after);
	emit_jmp_to(b->code, aside->back);
}
