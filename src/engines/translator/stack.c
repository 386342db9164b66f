/* SPDX-License-Identifier: MIT */
/* PUSH, POP and LEAVE of a word of the code: 64 bits, or 32; other sizes and forms are the semantics'. */
#include "engines/translator/build.h"

/* The value is in `host`, or is the immediate. */
static bool build_push(struct build *b, bool is_immediate)
{
	const struct insn *insn = b->insn;
	struct aside *aside = check_open(b, ASIDE_INSN);
	struct place place =
		check_register(b, aside, RSP, -word_bytes(b), (unsigned)word_bytes(b), true);
	if (is_immediate) {
		emit_op_rm(b->code, 0xc7, !b->is_32, 0, place);
		emit_32(b->code, (u32)insn->immediate);
	} else {
		emit_word_store(b, place, register_use(b, insn->reg >> 3, HOST_SCRATCH));
	}
	before_write(b, RSP);
	stretch_move_stack(b, -word_bytes(b));
	aside_close(b, aside);
	return true;
}

/* Both addresses are checked before anything is stored: the semantics find all as it was. */
static bool build_push_memory(struct build *b)
{
	struct place value = place_vcpu(OFFSET_WORD(WORD_TARGET));
	unsigned bytes = (unsigned)word_bytes(b);
	if (!operand_is_reachable(b->insn))
		return false;
	flags_clobber(b->code, &b->flags);
	struct aside *aside = aside_open(b, ASIDE_INSN);
	emit_word_load(b, HOST_SCRATCH, check_operand(b, aside, bytes, false, false));
	emit_store(b->code, value, HOST_SCRATCH);
	struct place place = check_register(b, aside, RSP, -word_bytes(b), bytes, true);
	emit_load(b->code, HOST_SCRATCH, value);
	emit_word_store(b, place, HOST_SCRATCH);
	before_write(b, RSP);
	stretch_move_stack(b, -word_bytes(b));
	aside_close(b, aside);
	return true;
}

static bool build_pop(struct build *b)
{
	unsigned guest = b->insn->reg >> 3;
	u8 host = host_register(guest);
	struct aside *aside = check_open(b, ASIDE_INSN);
	struct place place = check_register(b, aside, RSP, 0, (unsigned)word_bytes(b), false);
	before_write(b, RSP);
	before_write(b, guest);
	unsigned to = host == HOST_NONE ? HOST_SCRATCH : host;
	emit_word_load(b, to, place);
	register_store(b, guest, to);
	if (guest != RSP)
		stretch_move_stack(b, word_bytes(b));
	flags_register_written(&b->flags, guest);
	aside_close(b, aside);
	return true;
}

static bool build_leave(struct build *b)
{
	u8 rbp = host_register(RBP), rsp = host_register(RSP);
	struct aside *aside = check_open(b, ASIDE_INSN);
	struct place place = check_register(b, aside, RBP, 0, (unsigned)word_bytes(b), false);
	before_write(b, RSP);
	before_write(b, RBP);
	emit_word_lea(b, rsp, place_base(rbp, word_bytes(b)));
	emit_word_load(b, rbp, place);
	flags_register_written(&b->flags, RSP);
	flags_register_written(&b->flags, RBP);
	aside_close(b, aside);
	return true;
}

bool build_stack(struct build *b)
{
	const struct insn *insn = b->insn;
	const struct opcode_row *row = &opcode_rows[insn->row];
	if (row->map != 0 || insn->operand_size != word_size(b))
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
