/* SPDX-License-Identifier: MIT */
/*
 * x87 on the host's unit, where the guest's state is while translated code runs (FPU_X87). No exception is unmasked then, so
 * that none of these instructions can fault. The host's own pointers to the last instruction and operand are never the guest's:
 * those are kept in the guest's state.
 */
#include "engines/translator/build.h"
#include "x86/fpu.h"

static struct place image(unsigned offset)
{
	return place_vcpu(OFFSET_OF(fpu.image) + (i32)offset);
}

/* Flag-free. */
void x87_pointers_store(struct code *code, struct x87_pointers *pointers)
{
	struct encoding move_16 = {.has_66 = true, .opcode = 0xc7};
	struct place opcode = image(FPU_FOP);
	if (!pointers->is_due)
		return;
	emit_load(code, HOST_SCRATCH, place_vcpu(OFFSET_WORD(WORD_CODE_BASE)));
	emit_lea(code, HOST_SCRATCH, place_base(HOST_SCRATCH, (i32)pointers->offset));
	emit_store(code, image(FPU_FIP), HOST_SCRATCH);
	emit_rm(code, &move_16, 0, &opcode);
	emit_bytes(code, &pointers->opcode, 2);
	pointers->is_due = false;
}

static bool is_memory(const struct insn *insn)
{
	return insn->flags & INSN_MEMORY;
}

/* Those that leave the pointers alone. */
static bool is_control(const struct insn *insn)
{
	unsigned group = insn->modrm >> 3 & 7;
	if (is_memory(insn))
		return (insn->opcode == 0xd9 || insn->opcode == 0xdd) && group >= 4;
	return (insn->opcode == 0xdb && group == 4) ||
		(insn->opcode == 0xdf && insn->modrm == 0xe0);
}

static void note_pointers(struct build *b)
{
	const struct insn *insn = b->insn;
	b->x87 = (struct x87_pointers){.is_due = true,
		.opcode = (u16)((insn->opcode & 7) << 8 | insn->modrm),
		.offset = b->offset_next - insn->length};
}

static void build_memory_form(struct build *b)
{
	const struct insn *insn = b->insn;
	const struct row_operand *operand = &opcode_rows[insn->row].operands[0];
	struct encoding e = {.opcode = insn->opcode};
	flags_clobber(b->code, &b->flags);
	struct aside *aside = aside_open(b, ASIDE_INSN);
	struct place place = check_operand(b, aside, row_operand_bytes(insn, operand, true),
		operand->access & ACCESS_W, false);
	emit_rm(b->code, &e, insn->modrm >> 3 & 7, &place);
	if (!is_control(insn)) {
		emit_address(b, HOST_SCRATCH);
		emit_store(b->code, image(FPU_FDP), HOST_SCRATCH);
	}
	aside_close(b, aside);
}

static void build_register_form(struct build *b)
{
	unsigned use = flags_use(b->insn);
	if (use & FLAGS_READ)
		flags_to_host(b->code, &b->flags);
	emit_8(b->code, b->insn->opcode);
	emit_8(b->code, b->insn->modrm);
	if (use & FLAGS_WRITTEN)
		flags_were_set(&b->flags, b->insn);
}

/* FNSTSW AX: the host's AX is scratch. */
static void build_status_word(struct build *b)
{
	struct encoding move_16 = {.has_66 = true, .opcode = 0x89};
	before_write(b, RAX);
	emit_mov_immediate(b->code, HOST_SCRATCH, 0);
	build_register_form(b);
	emit_rr(b->code, &move_16, HOST_SCRATCH, host_register(RAX));
	flags_register_written(&b->flags, RAX);
}

/* FLDCW. What unmasks an exception is the semantics', and from then on all is. */
static bool build_control_word(struct build *b)
{
	struct code *code = b->code;
	struct encoding move = {.map = 1, .opcode = 0xb7};
	if (!operand_is_reachable(b->insn))
		return false;
	build_fpu(b, FPU_X87);
	x87_pointers_store(code, &b->x87);
	flags_to_memory(code, &b->flags);
	b->flags = (struct flags){.in_memory = true};
	struct aside *aside = aside_open(b, ASIDE_LEAVE);
	struct place place = check_operand(b, aside, 2, false, false);
	emit_rm(code, &move, HOST_SCRATCH, &place);
	emit_op_rr(code, 0xf7, false, 2, HOST_SCRATCH); /* not */
	emit_store(code, place_vcpu(OFFSET_WORD(WORD_FPU_CONTROL)), HOST_SCRATCH);
	emit_mov_immediate(code, HOST_SCRATCH, (u64)(uintptr_t)b->insn);
	emit_mov_immediate(code, HOST_ADDRESS, b->offset_next);
	emit_call(code, b->translator->thunk_fldcw);
	return true;
}

static bool build_other(struct build *b)
{
	const struct insn *insn = b->insn;
	if (insn->opcode == 0x9b) /* FWAIT: nothing waits */
		return (b->fpu_live & FPU_X87) == FPU_X87;
	return insn->opcode == 0xd9 && is_memory(insn) && (insn->modrm >> 3 & 7) == 5 &&
		build_control_word(b);
}

bool build_x87(struct build *b)
{
	const struct insn *insn = b->insn;
	const struct opcode_row *row = &opcode_rows[insn->row];
	if (!(row->attributes & ROW_FPU) || row->map)
		return false;
	if (row->class != ROW_CLASS_COPY)
		return build_other(b);
	if (is_memory(insn) && !operand_is_reachable(insn))
		return false;
	build_fpu(b, FPU_X87);
	if (is_memory(insn))
		build_memory_form(b);
	else if (row->operand_count && row->operands[0].kind == OPERAND_AX)
		build_status_word(b);
	else
		build_register_form(b);
	if (!is_control(insn))
		note_pointers(b);
	return true;
}
