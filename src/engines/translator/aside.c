/* SPDX-License-Identifier: MIT */
/* The pieces behind a block: misses, and ways out of it. */
#include "engines/translator/build.h"

struct aside *aside_open(struct build *b, enum aside_kind kind)
{
	struct aside *aside = &b->aside[b->aside_count++];
	*aside = (struct aside){.kind = (u8)kind,
		.insn = b->insn,
		.offset_next = b->offset_next,
		.before = b->flags,
		.x87 = b->x87};
	return aside;
}

void aside_jump(struct aside *aside, u32 displacement_at)
{
	aside->jumps[aside->jump_count++] = displacement_at;
}

void aside_close(struct build *b, struct aside *aside)
{
	aside->back = b->code->at;
	aside->after = b->flags;
}

/* What the thunks that run an instruction want: it, and where the next one is. */
static void emit_insn(struct build *b, const struct insn *insn, u32 offset_next)
{
	emit_mov_immediate(b->code, HOST_SCRATCH, (u64)(uintptr_t)insn);
	emit_mov_immediate(b->code, HOST_ADDRESS, offset_next);
}

static void emit_back(struct build *b, const struct aside *aside)
{
	if (aside->after.in_host)
		emit_flags_load(b->code);
	emit_jmp_to(b->code, aside->back);
}

static void emit_edge(struct build *b, const struct aside *aside)
{
	emit_mov_immediate(
		b->code, HOST_SCRATCH, (u64)(uintptr_t)&b->translation->edges[aside->edge]);
	emit_store(b->code, place_vcpu(OFFSET_WORD(WORD_EDGE)), HOST_SCRATCH);
}

static void emit_rip(struct build *b, u32 offset)
{
	emit_load(b->code, HOST_ADDRESS, place_vcpu(OFFSET_WORD(WORD_CODE_BASE)));
	emit_lea(b->code, HOST_ADDRESS, place_base(HOST_ADDRESS, (i32)offset));
	emit_store(b->code, place_vcpu(OFFSET_REGISTER(RIP)), HOST_ADDRESS);
}

/*
 * Each 256th goes by the semantics, which fill the first way: a page that something else displaced once would stay in the second for
 * ever.
 */
static void emit_promotion(struct build *b, struct aside *aside)
{
	emit_op_rm(b->code, 0xfe, false, 0, place_vcpu(OFFSET_WORD(WORD_SECOND_WAYS)));
	aside_jump(aside, emit_jcc(b->code, 4)); /* je */
}

/* The other way of the TLB or the table, with HOST_SCRATCH and HOST_ADDRESS as the comparison has left them. */
static void emit_second_way(struct build *b, struct aside *aside, const struct miss *miss)
{
	struct code *code = b->code;
	bool is_jump = miss->tag == MISS_OF_JUMP;
	i32 way = is_jump ? (i32)sizeof(struct jump_target)
			  : TLB_ENTRIES * (i32)sizeof(struct tlb_entry);
	i32 tag = is_jump ? (i32) __builtin_offsetof(struct jump_target, linear) : miss->tag;
	struct place addend =
		place_base(HOST_ADDRESS, way + (i32) __builtin_offsetof(struct tlb_entry, addend));
	code_patch(code, miss->jump, code->at);
	emit_op_rm(code, 0x3b, true, HOST_SCRATCH, place_base(HOST_ADDRESS, way + tag));
	aside_jump(aside, emit_jcc(code, 5));
	if (is_jump) {
		emit_lea(code, HOST_ADDRESS, place_base(HOST_ADDRESS, way));
	} else {
		emit_promotion(b, aside);
		emit_load(code, HOST_ADDRESS, addend);
	}
	emit_jmp_to(code, miss->back);
}

/* A check that a stretch has done needs none. */
static bool is_needed(const struct aside *aside)
{
	return aside->jump_count + aside->miss_count ||
		(aside->kind != ASIDE_INSN && aside->kind != ASIDE_LEAVE);
}

static void aside_emit(struct build *b, struct aside *aside)
{
	if (!is_needed(aside))
		return;
	for (unsigned i = 0; i < aside->miss_count; i++)
		emit_second_way(b, aside, &aside->misses[i]);
	const struct translator *t = b->translator;
	u8 rsp = host_register(RSP);
	for (unsigned i = 0; i < aside->jump_count; i++)
		code_patch(b->code, aside->jumps[i], b->code->at);
	if (aside->kind == ASIDE_STRETCH) {
		stretch_emit_aside(b, aside);
		return;
	}
	if (aside->kind == ASIDE_EDGE || aside->kind == ASIDE_STI || aside->kind == ASIDE_NEXT)
		b->edges[aside->edge].unlinked = b->code->at;
	if (aside->undo_stack)
		emit_word_lea(b, rsp, place_base(rsp, aside->undo_stack));
	flags_to_memory(b->code, &aside->before);
	x87_pointers_store(b->code, &aside->x87);
	switch (aside->kind) {
	case ASIDE_INSN:
		emit_insn(b, aside->insn, aside->offset_next);
		emit_call(b->code, t->thunk_insn);
		emit_back(b, aside);
		break;
	case ASIDE_FPU:
	case ASIDE_AVX:
	case ASIDE_X87:
		emit_insn(b, aside->insn, aside->offset_next);
		emit_call(b->code,
			aside->kind == ASIDE_FPU	   ? t->thunk_fpu_load
				: aside->kind == ASIDE_AVX ? t->thunk_avx_load
							   : t->thunk_x87_load);
		emit_back(b, aside);
		break;
	case ASIDE_STI:
		emit_other_flag(b, RFLAGS_IF, false);
		/* fall through */
	case ASIDE_EDGE:
		emit_edge(b, aside);
		/* fall through */
	case ASIDE_LEAVE:
		emit_insn(b, aside->insn, aside->offset_next);
		emit_jmp_to(b->code, t->thunk_insn_end);
		break;
	case ASIDE_NEXT:
		emit_edge(b, aside);
		/* fall through */
	case ASIDE_LIMIT:
		emit_rip(b, aside->offset_next);
		emit_jmp_to(b->code, t->thunk_leave);
		break;
	}
}

/* Room for the key that an edge to another page compares with. */
static void emit_key(struct build *b, struct edge *edge)
{
	if (!edge->key)
		return;
	while (b->code->at & 7 && !b->code->is_full)
		emit_8(b->code, 0xcc);
	code_patch(b->code, edge->key, b->code->at);
	edge->key = b->code->at;
	emit_64(b->code, 0);
}

void aside_emit_all(struct build *b)
{
	for (unsigned i = 0; i < b->aside_count; i++)
		aside_emit(b, &b->aside[i]);
	/* Where the entry of a dropped translation leads. */
	b->translation->dropped = b->code->at;
	emit_rip(b, b->block->offset);
	emit_jmp_to(b->code, b->translator->thunk_leave);
	b->code_end = b->code->at;
	for (unsigned i = 0; i < b->edge_count; i++)
		emit_key(b, &b->edges[i]);
}
