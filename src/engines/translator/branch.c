/* SPDX-License-Identifier: MIT */
/* Near branches whose operands are words of the code. */
#include "engines/translator/build.h"

static bool is_other_page(i64 offset)
{
	return offset < 0 || offset >= (i64)PAGE_SIZE;
}

/* What is there depends on another page's mapping: an instruction may go on in the next one. */
static bool needs_key(i64 offset)
{
	return offset < 0 || offset > (i64)PAGE_SIZE - 15;
}

/* Backwards something must look whether the run loop is wanted: every loop has a backward branch, or an indirect one. */
static void emit_poll(struct build *b, struct aside *aside)
{
	emit_load_32(b->code, HOST_ADDRESS, place_vcpu(OFFSET_OF(pending)));
	emit_jrcxz_over(b->code, 5);
	aside_jump(aside, emit_jmp(b->code));
}

/* Another page: its translation was found under a key, which must still be in force. Then the page is the current one. */
static void emit_key_check(struct build *b, struct aside *aside, struct edge *edge)
{
	struct code *code = b->code;
	emit_load(code, HOST_ADDRESS, place_vcpu(OFFSET_WORD(WORD_CODE_KEY)));
	edge->key_word = code->at - 4;
	/* mov rax, [rip + slot]: the slot has the key's negative, so that a sum of 0 is a match, without EFLAGS. */
	emit_bytes(code, "\x48\x8b\x05", 3);
	emit_32(code, 0);
	edge->key = code->at - 4;
	emit_lea(code, HOST_ADDRESS, (struct place){HOST_ADDRESS, HOST_SCRATCH, 0, false, 0});
	emit_jrcxz_over(code, 5);
	aside_jump(aside, emit_jmp(code));
}

static void emit_page_step(struct build *b, i64 offset)
{
	i64 pages = offset & (i64)PAGE_MASK;
	emit_load(b->code, HOST_SCRATCH, place_vcpu(OFFSET_WORD(WORD_CODE_BASE)));
	emit_word_lea(b, HOST_SCRATCH, place_base(HOST_SCRATCH, (i32)pages));
	emit_store(b->code, place_vcpu(OFFSET_WORD(WORD_CODE_BASE)), HOST_SCRATCH);
}

void build_edge_to(struct build *b, i64 offset, enum aside_kind kind, i32 stack)
{
	unsigned number = b->edge_count++;
	struct edge *edge = &b->edges[number];
	struct flags before = b->flags;
	*edge = (struct edge){0};
	if (!b->flags.in_memory)
		flags_to_host(b->code, &b->flags);
	edge->flags_saved = b->flags.in_memory;
	struct aside *aside = aside_open(b, kind);
	aside->edge = number;
	if (offset <= b->block->offset)
		emit_poll(b, aside);
	if (needs_key(offset))
		emit_key_check(b, aside, edge);
	if (stack)
		emit_word_lea(b, host_register(RSP), place_base(host_register(RSP), stack));
	if (is_other_page(offset))
		emit_page_step(b, offset);
	edge->jump = emit_jmp(b->code);
	/* Not linked, an edge with a key is left there. Without one it is left here, and must find all as it was. */
	if (!needs_key(offset)) {
		aside = stack ? aside_open(b, kind) : aside;
		aside->edge = number;
		aside->undo_stack = -stack;
		aside_jump(aside, edge->jump);
	}
	b->flags = before;
}

static i64 relative_target(const struct build *b)
{
	return (i64)b->offset_next + (i64)b->insn->immediate;
}

/* Targets so far away that the page's distance might not fit are the semantics'. */
static bool is_near(i64 offset)
{
	return offset > -0x7fff0000 && offset < 0x7fff0000;
}

static bool build_jmp(struct build *b)
{
	build_edge_to(b, relative_target(b), ASIDE_EDGE, 0);
	b->ends = true;
	return true;
}

static void jump_over(struct build *b, u32 displacement_at)
{
	code_patch(b->code, displacement_at, b->code->at);
}

/* Forward within the page: the conditional jump is the edge. */
static void build_jcc_edge(struct build *b)
{
	unsigned number = b->edge_count++;
	struct edge *edge = &b->edges[number];
	struct aside *aside = aside_open(b, ASIDE_EDGE);
	*edge = (struct edge){.flags_saved = b->flags.in_memory};
	aside->edge = number;
	edge->jump = emit_jcc(b->code, b->insn->opcode & 15);
	aside_jump(aside, edge->jump);
}

static bool build_jcc(struct build *b)
{
	i64 target = relative_target(b);
	flags_to_host(b->code, &b->flags);
	if (target > b->block->offset && !needs_key(target)) {
		build_jcc_edge(b);
		build_edge_to(b, b->offset_next, ASIDE_EDGE, 0);
		b->ends = true;
		return true;
	}
	u32 not_taken = emit_jcc(b->code, (b->insn->opcode & 15) ^ 1);
	build_edge_to(b, relative_target(b), ASIDE_EDGE, 0);
	jump_over(b, not_taken);
	stretch_end_loop(b);
	build_edge_to(b, b->offset_next, ASIDE_EDGE, 0);
	b->ends = true;
	return true;
}

/* JRCXZ, or JECXZ; the LOOPs are the semantics'. */
static bool build_jrcxz(struct build *b)
{
	if (b->insn->address_size != word_size(b))
		return false;
	if (!b->flags.in_memory)
		flags_to_host(b->code, &b->flags);
	emit_op_rr(b->code, 0x89, !b->is_32, host_register(RCX), HOST_ADDRESS);
	emit_jrcxz_over(b->code, 5);
	u32 not_taken = emit_jmp(b->code);
	build_edge_to(b, relative_target(b), ASIDE_EDGE, 0);
	jump_over(b, not_taken);
	build_edge_to(b, b->offset_next, ASIDE_EDGE, 0);
	b->ends = true;
	return true;
}

/* ---- calls --------------------------------------------------------------------------------------- */

static void emit_return_address(struct build *b, struct place place)
{
	emit_load(b->code, HOST_SCRATCH, place_vcpu(OFFSET_WORD(WORD_CODE_BASE)));
	emit_word_lea(b, HOST_SCRATCH, place_base(HOST_SCRATCH, (i32)b->offset_next));
	emit_word_store(b, place, HOST_SCRATCH);
}

/* Room for a return address. */
static struct place check_stack(struct build *b, struct aside *aside)
{
	return check_register(b, aside, RSP, -word_bytes(b), (unsigned)word_bytes(b), true);
}

static bool build_call(struct build *b)
{
	struct aside *aside = check_open(b, ASIDE_LEAVE);
	emit_return_address(b, check_stack(b, aside));
	before_write(b, RSP);
	build_edge_to(b, relative_target(b), ASIDE_EDGE, -word_bytes(b));
	b->ends = true;
	return true;
}

/* ---- indirect ones ------------------------------------------------------------------------------- */

/*
 * The target is in HOST_SCRATCH, the flags are in memory. Afterwards HOST_SCRATCH has its page and HOST_ADDRESS the place that
 * knows its code; a miss is the semantics', which find everything as it was.
 */
static void emit_lookup(struct build *b, struct aside *aside)
{
	struct code *code = b->code;
	emit_group1_place(code, 7, false, place_vcpu(OFFSET_OF(pending)), 0);
	aside_jump(aside, emit_jcc(code, 5));
	stretch_lose_address(b);
	emit_op_rr(code, 0x69, false, HOST_ADDRESS, HOST_SCRATCH); /* jump_set_offset */
	emit_32(code, JUMP_HASH);
	emit_op_rr(code, 0xc1, false, 5, HOST_ADDRESS);
	emit_8(code, JUMP_HASH_SHIFT);
	emit_op_rr(code, 0x81, false, 4, HOST_ADDRESS);
	emit_32(code, JUMP_OFFSET_MASK);
	emit_op_rm(code, 0x03, true, HOST_ADDRESS, place_vcpu(OFFSET_WORD(WORD_JUMPS)));
	emit_op_rm(code, 0x3b, true, HOST_SCRATCH,
		place_base(HOST_ADDRESS, __builtin_offsetof(struct jump_target, linear)));
	struct miss *miss = &aside->misses[aside->miss_count++];
	*miss = (struct miss){.jump = emit_jcc(code, 5), .tag = MISS_OF_JUMP};
	miss->back = code->at;
	emit_op_rr(code, 0x81, true, 4, HOST_SCRATCH);
	emit_32(code, (u32)PAGE_MASK);
}

/* To the code that `where` points to, in the page in HOST_SCRATCH, with RSP moved by `stack`. */
static void emit_arrive(struct build *b, i32 stack, struct place where)
{
	struct code *code = b->code;
	u8 rsp = host_register(RSP);
	emit_store(code, place_vcpu(OFFSET_WORD(WORD_CODE_BASE)), HOST_SCRATCH);
	if (stack)
		emit_word_lea(b, rsp, place_base(rsp, stack));
	emit_op_rm(code, 0xff, false, 4, where);
	b->ends = true;
}

static struct place target_code(void)
{
	return place_base(HOST_ADDRESS, __builtin_offsetof(struct jump_target, code));
}

static void emit_indirect(struct build *b, struct aside *aside, i32 stack)
{
	emit_lookup(b, aside);
	emit_arrive(b, stack, target_code());
}

static bool build_ret(struct build *b, i32 more)
{
	flags_to_memory(b->code, &b->flags);
	b->flags.in_host = false;
	struct aside *aside = aside_open(b, ASIDE_LEAVE);
	struct place place = check_register(b, aside, RSP, 0, (unsigned)word_bytes(b), false);
	emit_word_load(b, HOST_SCRATCH, place);
	emit_indirect(b, aside, word_bytes(b) + more);
	return true;
}

static bool operand_is_good(const struct insn *insn)
{
	return insn->flags & INSN_MEMORY ? operand_is_reachable(insn) : !(insn->rm & 7);
}

static void emit_target(struct build *b, struct aside *aside)
{
	if (b->insn->flags & INSN_MEMORY)
		emit_word_load(b, HOST_SCRATCH,
			check_operand(b, aside, (unsigned)word_bytes(b), false, false));
	else if (b->is_32)
		emit_op_rr(b->code, 0x89, false, host_register(b->insn->rm >> 3), HOST_SCRATCH);
	else
		register_load(b, HOST_SCRATCH, b->insn->rm >> 3);
}

static bool build_jmp_indirect(struct build *b)
{
	flags_to_memory(b->code, &b->flags);
	b->flags.in_host = false;
	struct aside *aside = aside_open(b, ASIDE_LEAVE);
	emit_target(b, aside);
	emit_indirect(b, aside, 0);
	return true;
}

/* The return address is stored when all is known: it may lie over the operand, which the semantics would read again. */
static bool build_call_indirect(struct build *b)
{
	struct place code = place_vcpu(OFFSET_WORD(WORD_TARGET_CODE));
	flags_to_memory(b->code, &b->flags);
	b->flags.in_host = false;
	struct aside *aside = aside_open(b, ASIDE_LEAVE);
	emit_target(b, aside);
	emit_lookup(b, aside);
	emit_store(b->code, place_vcpu(OFFSET_WORD(WORD_TARGET)), HOST_SCRATCH);
	emit_load(b->code, HOST_SCRATCH, target_code());
	emit_store(b->code, code, HOST_SCRATCH);
	emit_return_address(b, check_stack(b, aside));
	emit_load(b->code, HOST_SCRATCH, place_vcpu(OFFSET_WORD(WORD_TARGET)));
	emit_arrive(b, -word_bytes(b), code);
	return true;
}

bool build_branch(struct build *b)
{
	const struct insn *insn = b->insn;
	const struct opcode_row *row = &opcode_rows[insn->row];
	if (row->class != ROW_CLASS_REWRITE || insn->operand_size != word_size(b))
		return false;
	if (row->map == 1)
		return (insn->opcode & 0xf0) == 0x80 && is_near(relative_target(b)) && build_jcc(b);
	switch (insn->opcode) {
	case 0x70 ... 0x7f:
		return is_near(relative_target(b)) && build_jcc(b);
	case 0xe3:
		return build_jrcxz(b);
	case 0xe8:
		return is_near(relative_target(b)) && build_call(b);
	case 0xe9:
	case 0xeb:
		return is_near(relative_target(b)) && build_jmp(b);
	case 0xc2:
		return build_ret(b, (u16)insn->immediate);
	case 0xc3:
		return build_ret(b, 0);
	case 0xff:
		if (!operand_is_good(insn))
			return false;
		if ((insn->modrm >> 3 & 7) == 2)
			return build_call_indirect(b);
		return (insn->modrm >> 3 & 7) == 4 && build_jmp_indirect(b);
	}
	return false;
}
