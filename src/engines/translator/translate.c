/* SPDX-License-Identifier: MIT */
/* One decoded block becomes host code. */
#include "base/memory.h"
#include "base/check.h"
#include "base/text.h"
#include "engines/translator/build.h"
#include "engines/translator/dump.h"
#include "engines/translator/verify.h"
#include "x86/decode/decode.h"

#define REPORTS_MAX 10 /* lines a vCPU */

/* Rows after which the FPU's state in memory is what counts. */
static bool touches_fpu(const struct opcode_row *row)
{
	if (row->attributes & (ROW_FPU | ROW_SIMD))
		return true;
	return row->map == 1 && (row->opcode == 0xae || row->opcode == 0xc7);
}

/*
 * What other 32-bit translations take for granted may hold no longer: the run loop looks. Whatever else changes segments (far
 * transfers, task switches) ends blocks anyway.
 */
static bool writes_segment(const struct insn *insn)
{
	if (insn->row == ROW_INVALID)
		return false;
	const struct opcode_row *row = &opcode_rows[insn->row];
	unsigned kind = row->operand_count ? row->operands[0].kind : OPERAND_NONE;
	if (row->operand_count > 1 && row->operands[1].size == OPERAND_SIZE_P)
		return true; /* LES and its kin */
	return (kind == OPERAND_S || (kind >= OPERAND_ES && kind <= OPERAND_GS)) &&
		row->operands[0].access & ACCESS_W;
}

void build_helper(struct build *b)
{
	const struct translator *t = b->translator;
	const struct insn *insn = b->insn;
	b->stretch.is_broken = true;
	bool is_fpu = insn->row == ROW_INVALID || touches_fpu(&opcode_rows[insn->row]);
	flags_to_memory(b->code, &b->flags);
	x87_pointers_store(b->code, &b->x87);
	b->flags = (struct flags){.in_memory = true};
	emit_mov_immediate(b->code, HOST_SCRATCH, (u64)(uintptr_t)insn);
	emit_mov_immediate(b->code, HOST_ADDRESS, b->offset_next);
	if (insn->flags & INSN_ENDS_BLOCK || (b->is_32 && writes_segment(insn))) {
		emit_jmp_to(b->code, t->thunk_insn_end);
		b->ends = true;
		return;
	}
	emit_call(b->code, is_fpu ? t->thunk_insn_fpu : t->thunk_insn);
	if (is_fpu)
		b->fpu_live = 0;
}

void build_fpu(struct build *b, u32 live)
{
	static const u8 kinds[] = {
		[FPU_SSE] = ASIDE_FPU, [FPU_AVX] = ASIDE_AVX, [FPU_X87] = ASIDE_X87};
	if ((b->fpu_live & live) == live)
		return;
	flags_clobber(b->code, &b->flags);
	struct aside *aside = aside_open(b, kinds[live]);
	emit_op_rm(b->code, 0xf6, false, 0, place_vcpu(OFFSET_WORD(WORD_FPU_LIVE))); /* test */
	emit_8(b->code, fpu_live_bit(live));
	aside_jump(aside, emit_jcc(b->code, 4)); /* jz */
	aside_close(b, aside);
	b->fpu_live |= live;
}

/* EMMS, VZEROUPPER and VZEROALL. The latter clear half as many registers in 32-bit code, which has no more. */
static bool build_empty(struct build *b)
{
	const struct opcode_row *row = &opcode_rows[b->insn->row];
	if ((row->map != 1 && row->map != OPCODE_MAP_VEX + 1) || b->insn->opcode != 0x77)
		return false;
	if (row->map != 1 && b->is_32)
		return false;
	build_fpu(b, row->map == 1 ? FPU_X87 : FPU_AVX);
	if (row->map == 1)
		emit_bytes(b->code, "\x0f\x77", 2);
	else
		emit_bytes(b->code, row->attributes & ROW_L1 ? "\xc5\xfc\x77" : "\xc5\xf8\x77", 3);
	return true;
}

void build_insn(struct build *b)
{
	if (b->insn->flags & INSN_ENDS_BLOCK)
		x87_pointers_store(b->code, &b->x87);
	if (b->insn->row == ROW_INVALID ||
		(!build_stack(b) && !build_branch(b) && !build_system(b) && !build_x87(b) &&
			!build_copy(b) && !build_special(b) && !build_empty(b)))
		build_helper(b);
}

/* Does something look at the flags that the block begins with, in the host's, before they are spoilt? */
static bool wants_flags_in_host(const struct block *block)
{
	for (u32 i = 0; i < block->count; i++) {
		const struct insn *insn = &block->insns[i];
		if (insn->row == ROW_INVALID || insn->flags & INSN_MEMORY)
			return false;
		const struct opcode_row *row = &opcode_rows[insn->row];
		unsigned use = flags_use(insn);
		if (row->class == ROW_CLASS_HELPER || row->attributes & (ROW_SIMD | ROW_FPU))
			return false;
		if (row->class == ROW_CLASS_REWRITE)
			return insn->opcode < 0x50 || (insn->opcode >= 0x70 && insn->opcode < 0x90);
		if (use)
			return true;
	}
	return true;
}

/* Both ways in; the body then has the flags as b->flags says. */
static void build_entry(struct build *b, struct translation *t)
{
	if (!b->translator->is_counted && wants_flags_in_host(b->block)) {
		t->entry_saved = b->code->at;
		emit_flags_load(b->code);
		t->entry_host = b->code->at;
		b->flags = (struct flags){.in_host = true};
		return;
	}
	t->entry_host = b->code->at;
	emit_flags_save(b->code);
	t->entry_saved = b->code->at;
	b->flags = (struct flags){.in_memory = true};
}

/* Counted: the block begins only if all of it is within the limit. */
static void build_count(struct build *b)
{
	struct code *code = b->code;
	b->offset_next = b->block->offset;
	struct aside *aside = aside_open(b, ASIDE_LIMIT);
	emit_load(code, HOST_SCRATCH, place_vcpu(OFFSET_WORD(WORD_RETIRED)));
	emit_group1(code, 0, true, HOST_SCRATCH, (i32)b->block->count);
	emit_op_rm(code, 0x3b, true, HOST_SCRATCH, place_vcpu(OFFSET_WORD(WORD_LIMIT)));
	aside_jump(aside, emit_jcc(code, 7)); /* ja */
	emit_store(code, place_vcpu(OFFSET_WORD(WORD_RETIRED)), HOST_SCRATCH);
	emit_mov_immediate(code, HOST_SCRATCH, (u64)(uintptr_t)b->block->insns);
	emit_store(code, place_vcpu(OFFSET_WORD(WORD_START)), HOST_SCRATCH);
}

void build_mark(const struct build *b, struct build_mark *mark)
{
	*mark = (struct build_mark){.index = b->index,
		.offset_next = b->offset_next,
		.code_at = b->code->at,
		.flags = b->flags,
		.fpu_live = b->fpu_live,
		.x87 = b->x87,
		.aside_count = b->aside_count,
		.edge_count = b->edge_count};
}

void build_rewind(struct build *b, const struct build_mark *mark)
{
	b->index = mark->index;
	b->insn = &b->block->insns[mark->index];
	b->offset_next = mark->offset_next;
	b->code->at = mark->code_at;
	b->flags = mark->flags;
	b->fpu_live = mark->fpu_live;
	b->x87 = mark->x87;
	b->aside_count = mark->aside_count;
	b->edge_count = mark->edge_count;
	b->ends = false;
	b->stretch.exit_count = 0;
}

static void build_body(struct build *b)
{
	const struct block *block = b->block;
	b->offset_next = block->offset;
	b->stretch.exit_count = 0;
	for (b->index = 0; b->index < block->count && !b->ends; b->index++) {
		b->insn = &block->insns[b->index];
		b->offset_next += b->insn->length;
		b->insn_at[b->index] = b->code->at;
		if (!stretch_build(b))
			build_insn(b);
	}
	x87_pointers_store(b->code, &b->x87);
	if (!b->ends)
		build_edge_to(b, b->offset_next, ASIDE_NEXT, 0);
}

/* The pieces beside the block go to the other half. */
static void build_asides(struct build *b, struct translation *t)
{
	struct translator *translator = b->translator;
	struct code body = *b->code;
	b->code->at = t->aside_begin = translator->aside_at;
	b->code->limit = translator->aside_limit;
	aside_emit_all(b);
	t->aside_end = b->code->at;
	b->code->at = body.at;
	b->code->limit = body.limit;
}

/* For a profiler: by the linear address at which the block was found. */
static void name_range(const struct translator *t, const char *kind, u32 begin, u32 end)
{
	char name[48];
	struct text text;
	text_init(&text, name, sizeof(name));
	text_format(&text, "%s:%llx", kind, (unsigned long long)t->vcpu->cpu.regs[RIP]);
	host_code_named(t->code.execute + begin, end - begin, name);
}

/* ---- a dump for people --------------------------------------------------------------------------- */

static void put_line(void *context, const char *line)
{
	host_record(RECORD_BLOCKS, line);
}

static void dump_part(
	const struct build *b, const struct dump_insn *insns, unsigned count, u32 begin, u32 end)
{
	const struct translator *t = b->translator;
	struct dump dump = {.insns = insns,
		.count = count,
		.guest_address = t->vcpu->cpu.regs[RIP],
		.host = t->code.write + begin,
		.host_bytes = end - begin};
	block_dump(&dump, put_line, NULL);
}

/* Each instruction beside its code, then the pieces that are rarely needed. Links are made later. */
static void dump_translation(const struct build *b, const struct translation *t)
{
	struct dump_insn insns[BLOCK_INSNS_MAX];
	char line[160];
	struct text text;
	for (unsigned i = 0; i < b->index; i++)
		insns[i] = (struct dump_insn){&b->block->insns[i], b->insn_at[i] - t->begin};
	text_init(&text, line, sizeof(line));
	text_format(&text,
		"block at %lx, physical %lx, of %u instructions: host code at %lx, %u bytes; "
		"beside it at %lx, %u",
		b->translator->vcpu->cpu.regs[RIP], b->block->page->physical + b->block->offset,
		b->block->count, (u64)(uintptr_t)(b->code->execute + t->begin), t->end - t->begin,
		(u64)(uintptr_t)(b->code->execute + t->aside_begin), t->aside_end - t->aside_begin);
	put_line(NULL, line);
	dump_part(b, insns, b->index, t->begin, t->end);
	put_line(NULL, "beside it");
	dump_part(b, NULL, 0, t->aside_begin, b->code_end);
	put_line(NULL, "");
}

/* ---- the verifier's word ------------------------------------------------------------------------- */

static void report(const struct build *b, const struct verifier_finding *finding)
{
	struct translator *t = b->translator;
	char line[240];
	struct text text;
	struct insn insn;
	if (t->counts.unproven++ >= REPORTS_MAX)
		return;
	text_init(&text, line, sizeof(line));
	text_format(&text, "a translation was not used: %s (block at ...%03x of %u instructions, ",
		finding->what, (unsigned)b->block->offset, (unsigned)b->block->count);
	text_format(&text, "host code at %x: ", (unsigned)finding->at);
	if (finding->at < b->code_end &&
		decode(t->code.write + finding->at, (unsigned)MIN(b->code_end - finding->at, 15u),
			SIZE_64, ~(u64)0, &insn) == DECODE_OK)
		insn_print(&text, &insn, finding->at);
	text_append(&text, ")");
	host_log(LOG_ERROR, line);
}

static bool is_verified(struct build *b, const struct translation *t)
{
	struct translator *translator = b->translator;
	struct verifier_input input = {
		.translator = translator, .translation = t, .code_end = b->code_end};
	struct verifier_finding finding;
	if (!translator->verifier || verify(translator->verifier, &input, &finding))
		return true;
	report(b, &finding);
	check(translator->vcpu->machine->verification != VERIFY_OR_STOP);
	return false;
}

static void build_finish(struct build *b, struct translation *t)
{
	memcpy(t->edges, b->edges, b->edge_count * sizeof(b->edges[0]));
	t->edge_count = b->edge_count;
	if (!is_verified(b, t)) {
		b->code->at = t->begin;
		b->block->heat = BLOCK_NEVER;
		return;
	}
	b->translator->aside_at = t->aside_end;
	b->block->translation = t;
	b->translator->counts.translated++;
	if (unlikely(host_record_is_wanted(RECORD_BLOCKS)))
		dump_translation(b, t);
	if (host_code_naming_is_wanted()) {
		name_range(b->translator, "guest", t->begin, t->end);
		name_range(b->translator, "aside", t->aside_begin, t->aside_end);
	}
}

bool translate_block(struct translator *translator, struct block *block)
{
	struct build *b = translator->build;
	struct translation *t = region_take(
		&translator->loop.cache.regions, sizeof(*t) + EDGES_MAX * sizeof(struct edge));
	if (!t)
		return false;
	memset(t, 0, sizeof(*t));
	t->block = block;
	t->begin = translator->code.at;
	t->edges = (struct edge *)(t + 1);
	b->translator = translator;
	b->code = &translator->code;
	b->block = block;
	b->translation = t;
	b->aside_count = b->edge_count = 0;
	b->fpu_live = 0;
	b->is_32 = block->code_size == SIZE_32;
	b->x87.is_due = b->ends = false;
	build_entry(b, t);
	if (translator->is_counted)
		build_count(b);
	build_body(b);
	t->end = b->code->at;
	build_asides(b, t);
	if (b->code->is_full) {
		b->code->at = t->begin;
		b->code->is_full = false;
		return false;
	}
	build_finish(b, t);
	return true;
}
