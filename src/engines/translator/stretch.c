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
		emit_word_lea(b, rsp, place_base(rsp, delta));
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
	unsigned number = s->group[s->position];
	const struct group *group = &s->groups[number];
	if (s->held != number) {
		/* Something has taken HOST_ADDRESS in between. */
		if (!group->is_used_later)
			s->is_broken = s->keeps_all = true;
		emit_load(b->code, HOST_ADDRESS, word_of(number));
		s->held = (u8)number;
	}
	return place_base(HOST_ADDRESS, s->displacement[s->position] - group->address.displacement);
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

static void go_to(struct build *b, u32 index, u32 offset_next)
{
	b->index = index;
	b->insn = &b->block->insns[index];
	b->offset_next = offset_next;
}

static void next_insn(struct build *b)
{
	go_to(b, b->index + 1, b->offset_next + b->insn[1].length);
}

static void emit_insn(struct build *b)
{
	struct stretch *s = &b->stretch;
	if (s->position < s->count)
		b->insn_at[b->index] = b->code->at;
	if (!leaves_stack(b->insn))
		stack_settle(b);
	build_insn(b);
	s->position++;
}

/* A round's end, but for the last: the loop's branch, the other way round. All of them find the flags as its last comparison left them. */
static void emit_exit(struct build *b)
{
	struct stretch *s = &b->stretch;
	const struct insn *branch = &b->block->insns[b->block->count - 1];
	flags_to_host(b->code, &b->flags);
	s->is_broken |= b->flags.in_memory;
	s->exits[s->exit_count++] = emit_jcc(b->code, (branch->opcode & 15) ^ 1);
}

/* The current instruction is the last one afterwards, or the one that broke it. */
static void emit_round(struct build *b)
{
	emit_insn(b);
	for (u32 left = b->stretch.count - 1; left && !b->stretch.is_broken; left--) {
		next_insn(b);
		emit_insn(b);
	}
	stack_settle(b);
}

static void emit_rounds(struct build *b)
{
	struct stretch *s = &b->stretch;
	u32 index = b->index, offset_next = b->offset_next;
	s->position = s->exit_count = 0;
	emit_round(b);
	for (u32 round = 1; round < s->rounds && !s->is_broken; round++) {
		emit_exit(b);
		go_to(b, index, offset_next);
		emit_round(b);
	}
	s->is_broken |= s->rounds > 1 && b->flags.in_memory;
}

void stretch_end_loop(struct build *b)
{
	for (u32 i = 0; i < b->stretch.exit_count; i++)
		code_patch(b->code, b->stretch.exits[i], b->code->at);
	b->stretch.exit_count = 0;
}

/* ---- all of it ----------------------------------------------------------------------------------- */

/* An access that was not foreseen would come back from the semantics, and the checks might not hold any more. */
static bool has_asides(const struct build *b, unsigned from)
{
	for (unsigned i = from; i < b->aside_count; i++)
		if (b->aside[i].kind == ASIDE_INSN &&
			b->aside[i].jump_count + b->aside[i].miss_count)
			return true;
	return false;
}

/* What is accessed first is checked last: HOST_ADDRESS has it then. */
static void emit_groups(struct build *b, struct aside *aside)
{
	struct stretch *s = &b->stretch;
	const u8 *first = s->group;
	while (*first == NO_GROUP)
		first++;
	for (unsigned i = 0; i < s->group_count; i++)
		if (i != *first)
			emit_group(b, aside, i);
	emit_group(b, aside, *first);
}

/* False: another plan is needed. */
static bool emit_stretch(struct build *b)
{
	struct stretch *s = &b->stretch;
	s->is_broken = false;
	s->stack = 0;
	if (s->fpu)
		build_fpu(b, s->fpu);
	flags_clobber(b->code, &b->flags);
	struct aside *aside = aside_open(b, ASIDE_STRETCH);
	aside->index = b->index;
	aside->count = s->count;
	aside->fpu_live = b->fpu_live;
	emit_groups(b, aside);
	s->is_active = true;
	unsigned asides = b->aside_count;
	emit_rounds(b);
	s->is_active = false;
	s->is_broken |= has_asides(b, asides);
	aside_close(b, aside);
	return !s->is_broken;
}

/*
 * What did not become one is planned anew: with all groups kept where that was the reason, else with fewer instructions, of
 * a loop as no loop.
 */
bool stretch_build(struct build *b)
{
	struct stretch *s = &b->stretch;
	struct build_mark mark;
	bool is_loop = !b->index && !b->translator->is_counted;
	u32 limit = b->block->count;
	if (b->is_32) /* sums are cut to 32 bits: what is near is not what the plan takes for it */
		return false;
	build_mark(b, &mark);
	s->keeps_all = false;
	for (;;) {
		is_loop = is_loop && stretch_plan_loop(s, b->block);
		if (!is_loop && !stretch_plan(s, b->block, b->index, b->offset_next, limit))
			return false;
		bool kept_all = s->keeps_all;
		if (emit_stretch(b))
			return true;
		if (s->keeps_all == kept_all && is_loop)
			is_loop = s->keeps_all = false;
		else if (s->keeps_all == kept_all)
			limit = b->index;
		build_rewind(b, &mark);
	}
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

/* Of a loop one round, up to the branch at its end. */
void stretch_emit_aside(struct build *b, const struct aside *aside)
{
	unsigned index = b->index;
	b->flags = aside->before;
	b->fpu_live = aside->fpu_live;
	b->x87 = aside->x87;
	b->ends = false;
	go_to(b, aside->index, aside->offset_next);
	build_insn(b);
	for (u32 i = 1; i < aside->count; i++) {
		next_insn(b);
		build_insn(b);
	}
	b->index = index;
	if (b->ends)
		return;
	settle_flags(b, &aside->after);
	emit_jmp_to(b->code, aside->back);
}
