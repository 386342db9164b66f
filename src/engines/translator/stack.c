/* SPDX-License-Identifier: MIT */
/* PUSH, POP and LEAVE of 64 bits; other sizes and forms are the semantics'. */
#include "engines/translator/build.h"

static void move_stack(struct build *b, i32 delta)
{
	u8 rsp = host_register(RSP);
	emit_lea(b->code, rsp, place_base(rsp, delta));
	flags_register_written(&b->flags, RSP);
}

/* ---- runs of PUSH or of POP: one check for all of them ------------------------------------------- */

#define RUN_MAX 8

static bool is_push(const struct insn *insn)
{
	unsigned opcode = insn->opcode;
	return (opcode & 0xf8) == 0x50 || opcode == 0x68 || opcode == 0x6a;
}

static bool is_pop(const struct insn *insn)
{
	return (insn->opcode & 0xf8) == 0x58;
}

static bool has_immediate(const struct insn *insn)
{
	return insn->opcode >= 0x60;
}

/* RSP itself is pushed and popped alone: what the others mean depends on it. */
static bool is_of_run(const struct insn *insn, bool (*is_kind)(const struct insn *insn))
{
	return insn->row != ROW_INVALID && opcode_rows[insn->row].map == 0 &&
		insn->operand_size == SIZE_64 && is_kind(insn) &&
		(has_immediate(insn) || insn->reg != RSP * 8);
}

static u32 run_count(const struct build *b, bool (*is_kind)(const struct insn *insn))
{
	u32 count = 1, left = b->block->count - b->index;
	while (is_of_run(b->insn, is_kind) && count < MIN(left, RUN_MAX) &&
		is_of_run(b->insn + count, is_kind))
		count++;
	return count;
}

/* The last one of the run is the current instruction afterwards. */
static void run_end(struct build *b, u32 count)
{
	while (--count) {
		b->index++;
		b->insn++;
		b->offset_next += b->insn->length;
		b->insn_at[b->index] = b->code->at;
	}
}

static void emit_pushed(struct build *b, const struct insn *insn, struct place place)
{
	if (has_immediate(insn)) {
		emit_op_rm(b->code, 0xc7, true, 0, place);
		emit_32(b->code, (u32)insn->immediate);
	} else {
		emit_store(b->code, place, register_use(b, insn->reg >> 3, HOST_SCRATCH));
	}
}

static bool build_push(struct build *b)
{
	u32 count = run_count(b, is_push);
	i32 bytes = 8 * (i32)count;
	flags_clobber(b->code, &b->flags);
	struct aside *aside = aside_open(b, ASIDE_INSN);
	aside->count = (u8)count;
	struct place place = check_register(b, aside, RSP, -bytes, (unsigned)bytes, true);
	for (u32 i = 0; i < count; i++) {
		place.displacement = -8 * (i32)(i + 1);
		emit_pushed(b, b->insn + i, place);
	}
	before_write(b, RSP);
	move_stack(b, -bytes);
	run_end(b, count);
	aside_close(b, aside);
	return true;
}

static void emit_popped(struct build *b, unsigned guest, struct place place)
{
	u8 host = host_register(guest);
	unsigned to = host == HOST_NONE ? HOST_SCRATCH : host;
	emit_load(b->code, to, place);
	register_store(b, guest, to);
	flags_register_written(&b->flags, guest);
}

static bool build_pop(struct build *b)
{
	u32 count = run_count(b, is_pop);
	unsigned bytes = 8 * count;
	flags_clobber(b->code, &b->flags);
	struct aside *aside = aside_open(b, ASIDE_INSN);
	aside->count = (u8)count;
	struct place place = check_register(b, aside, RSP, 0, bytes, false);
	before_write(b, RSP);
	for (u32 i = 0; i < count; i++)
		before_write(b, b->insn[i].reg >> 3);
	for (u32 i = 0; i < count; i++) {
		place.displacement = 8 * (i32)i;
		emit_popped(b, b->insn[i].reg >> 3, place);
	}
	if (b->insn->reg != RSP * 8)
		move_stack(b, (i32)bytes);
	run_end(b, count);
	aside_close(b, aside);
	return true;
}

static bool build_leave(struct build *b)
{
	u8 rbp = host_register(RBP), rsp = host_register(RSP);
	flags_clobber(b->code, &b->flags);
	struct aside *aside = aside_open(b, ASIDE_INSN);
	struct place place = check_register(b, aside, RBP, 0, 8, false);
	before_write(b, RSP);
	before_write(b, RBP);
	emit_lea(b->code, rsp, place_base(rbp, 8));
	emit_load(b->code, rbp, place);
	flags_register_written(&b->flags, RSP);
	flags_register_written(&b->flags, RBP);
	aside_close(b, aside);
	return true;
}

bool build_stack(struct build *b)
{
	const struct insn *insn = b->insn;
	const struct opcode_row *row = &opcode_rows[insn->row];
	if (row->map != 0 || insn->operand_size != SIZE_64)
		return false;
	switch (insn->opcode) {
	case 0x50 ... 0x57:
		return build_push(b);
	case 0x58 ... 0x5f:
		return build_pop(b);
	case 0x68:
	case 0x6a:
		return build_push(b);
	case 0xc9:
		return build_leave(b);
	}
	return false;
}
