/* SPDX-License-Identifier: MIT */
/* PUSH, POP and LEAVE of 64 bits; other sizes and forms are the semantics'. */
#include "engines/translator/build.h"

/* The value is in `host`, or is the immediate. */
static bool build_push(struct build *b, bool is_immediate)
{
	const struct insn *insn = b->insn;
	struct aside *aside = check_open(b, ASIDE_INSN);
	struct place place = check_register(b, aside, RSP, -8, 8, true);
	if (is_immediate) {
		emit_op_rm(b->code, 0xc7, true, 0, place);
		emit_32(b->code, (u32)insn->immediate);
	} else {
		emit_store(b->code, place, register_use(b, insn->reg >> 3, HOST_SCRATCH));
	}
	before_write(b, RSP);
	stretch_move_stack(b, -8);
	aside_close(b, aside);
	return true;
}

/* Both addresses are checked before anything is stored: the semantics find all as it was. */
static bool build_push_memory(struct build *b)
{
	struct place value = place_vcpu(OFFSET_WORD(WORD_TARGET));
	if (!(b->insn->flags & INSN_FLAT))
		return false;
	flags_clobber(b->code, &b->flags);
	struct aside *aside = aside_open(b, ASIDE_INSN);
	emit_load(b->code, HOST_SCRATCH, check_operand(b, aside, 8, false, false));
	emit_store(b->code, value, HOST_SCRATCH);
	struct place place = check_register(b, aside, RSP, -8, 8, true);
	emit_load(b->code, HOST_SCRATCH, value);
	emit_store(b->code, place, HOST_SCRATCH);
	before_write(b, RSP);
	stretch_move_stack(b, -8);
	aside_close(b, aside);
	return true;
}

static bool build_pop(struct build *b)
{
	unsigned guest = b->insn->reg >> 3;
	u8 host = host_register(guest);
	struct aside *aside = check_open(b, ASIDE_INSN);
	struct place place = check_register(b, aside, RSP, 0, 8, false);
	before_write(b, RSP);
	before_write(b, guest);
	unsigned to = host == HOST_NONE ? HOST_SCRATCH : host;
	emit_load(b->code, to, place);
	register_store(b, guest, to);
	if (guest != RSP)
		stretch_move_stack(b, 8);
	flags_register_written(&b->flags, guest);
	aside_close(b, aside);
	return true;
}

static bool build_leave(struct build *b)
{
	u8 rbp = host_register(RBP), rsp = host_register(RSP);
	struct aside *aside = check_open(b, ASIDE_INSN);
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
		return build_push(b, false);
	case 0x58 ... 0x5f:
		return build_pop(b);
	case 0x68:
	case 0x6a:
		return build_push(b, true);
	case 0xc9:
		return build_leave(b);
	case 0xff:
		return (insn->modrm >> 3 & 7) == 6 && insn->flags & INSN_MEMORY &&
			build_push_memory(b);
	}
	return false;
}
