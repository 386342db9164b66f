/* SPDX-License-Identifier: MIT */
/* Instructions of class copy with registers that the encoding implies, or that need no code at all. */
#include "engines/translator/build.h"

static bool is_whole(u8 location)
{
	return !(location & 7) && location < 16 * 8;
}

static bool is_memory(const struct insn *insn)
{
	return insn->flags & INSN_MEMORY;
}

void before_write(struct build *b, unsigned guest)
{
	if (flags_need_register(&b->flags, guest))
		flags_to_host(b->code, &b->flags);
}

static struct encoding sized(const struct insn *insn, unsigned opcode)
{
	return (struct encoding){.has_66 = insn->operand_size == SIZE_16,
		.is_wide = insn->operand_size == SIZE_64,
		.needs_rex = insn->operand_size == SIZE_8,
		.opcode = (u8)opcode};
}

/* ---- AL, rAX and an immediate -------------------------------------------------------------------- */

/* As the forms with ModRM: the host's short forms are for its own RAX. */
static bool build_accumulator(struct build *b)
{
	const struct insn *insn = b->insn;
	bool is_test = insn->opcode == 0xa8 || insn->opcode == 0xa9,
	     is_byte = insn->operand_size == SIZE_8;
	unsigned extension = is_test ? 0 : insn->opcode >> 3;
	struct encoding e = sized(insn, is_test ? 0xf7 - is_byte : 0x81 - is_byte);
	if (flags_use(insn) & FLAGS_READ)
		flags_to_host(b->code, &b->flags);
	emit_rr(b->code, &e, extension, host_register(RAX));
	emit_bytes(b->code, &insn->immediate, is_byte ? 1 : insn->operand_size == SIZE_16 ? 2 : 4);
	flags_were_set(&b->flags, insn);
	return true;
}

/* ---- the register in the opcode ------------------------------------------------------------------ */

static bool build_move_immediate(struct build *b)
{
	const struct insn *insn = b->insn;
	unsigned guest = insn->reg >> 3;
	u8 host = host_register(guest);
	if (!is_whole(insn->reg))
		return false;
	before_write(b, guest);
	if (insn->operand_size >= SIZE_32) {
		unsigned to = host == HOST_NONE ? HOST_SCRATCH : host;
		emit_mov_immediate(b->code, to,
			insn->operand_size == SIZE_32 ? (u32)insn->immediate : insn->immediate);
		register_store(b, guest, to);
	} else {
		/* Part of a register: c6, c7 with the register in place. */
		struct encoding e = sized(insn, insn->operand_size == SIZE_8 ? 0xc6 : 0xc7);
		struct place place = place_vcpu(OFFSET_REGISTER(guest));
		if (host == HOST_NONE)
			emit_rm(b->code, &e, 0, &place);
		else
			emit_rr(b->code, &e, 0, host);
		emit_bytes(b->code, &insn->immediate, 1u << insn->operand_size);
	}
	flags_register_written(&b->flags, guest);
	return true;
}

/* INC and DEC of 32-bit code, whose encoding is a REX prefix to the host: as the forms with ModRM. */
static bool build_step(struct build *b)
{
	const struct insn *insn = b->insn;
	unsigned guest = insn->reg >> 3;
	struct encoding e = sized(insn, 0xff);
	flags_to_host(b->code, &b->flags);
	emit_rr(b->code, &e, insn->opcode >> 3 & 1, host_register(guest));
	flags_register_written(&b->flags, guest);
	flags_were_set(&b->flags, insn);
	return true;
}

/* AL or rAX and memory at an address in the instruction. 64-bit code has such addresses of 8 bytes, and no use for them. */
static bool build_move_offset(struct build *b)
{
	const struct insn *insn = b->insn;
	bool is_store = insn->opcode & 2;
	struct encoding e = sized(insn, (is_store ? 0x89 : 0x8b) - !(insn->opcode & 1));
	if (!b->is_32 || !operand_is_reachable(insn))
		return false;
	flags_clobber(b->code, &b->flags);
	struct aside *aside = aside_open(b, ASIDE_INSN);
	struct place place = check_offset(b, aside, 1u << insn->operand_size, is_store);
	if (!is_store)
		before_write(b, RAX);
	emit_rm(b->code, &e, host_register(RAX), &place);
	if (!is_store)
		flags_register_written(&b->flags, RAX);
	aside_close(b, aside);
	return true;
}

static bool build_bswap(struct build *b)
{
	const struct insn *insn = b->insn;
	unsigned guest = insn->reg >> 3;
	if (insn->operand_size == SIZE_16)
		return false; /* undefined: as the semantics have it */
	before_write(b, guest);
	unsigned host = register_use(b, guest, HOST_SCRATCH);
	unsigned rex = (insn->operand_size == SIZE_64 ? 8 : 0) | host >> 3;
	if (rex)
		emit_8(b->code, 0x40 | rex);
	emit_8(b->code, 0x0f);
	emit_8(b->code, 0xc8 | (host & 7));
	register_store(b, guest, host);
	flags_register_written(&b->flags, guest);
	return true;
}

static bool build_exchange_accumulator(struct build *b)
{
	const struct insn *insn = b->insn;
	unsigned guest = insn->reg >> 3;
	struct encoding e = sized(insn, 0x87);
	before_write(b, guest);
	before_write(b, RAX);
	unsigned host = register_use(b, guest, HOST_SCRATCH);
	emit_rr(b->code, &e, host_register(RAX), host);
	register_store(b, guest, host);
	flags_register_written(&b->flags, guest);
	flags_register_written(&b->flags, RAX);
	return true;
}

/* ---- sign extension of rAX ----------------------------------------------------------------------- */

static bool build_extend(struct build *b)
{
	const struct insn *insn = b->insn;
	unsigned to = insn->opcode == 0x98 ? RAX : RDX;
	before_write(b, to);
	register_load(b, HOST_SCRATCH, RAX);
	if (insn->operand_size != SIZE_32)
		emit_8(b->code, insn->operand_size == SIZE_16 ? 0x66 : 0x48);
	emit_8(b->code, insn->opcode);
	if (to == RAX)
		register_store(b, RAX, HOST_SCRATCH);
	flags_register_written(&b->flags, to);
	return true;
}

/* ---- LEA ----------------------------------------------------------------------------------------- */

static bool build_lea(struct build *b)
{
	const struct insn *insn = b->insn;
	unsigned guest = insn->reg >> 3;
	u8 host = host_register(guest);
	if (!operand_is_reachable(insn))
		return false;
	before_write(b, guest);
	emit_address(b, HOST_SCRATCH);
	if (insn->operand_size == SIZE_64) {
		register_store(b, guest, HOST_SCRATCH);
	} else if (host != HOST_NONE) {
		struct encoding e = sized(insn, 0x89);
		emit_rr(b->code, &e, HOST_SCRATCH, host);
	} else if (insn->operand_size == SIZE_32) {
		emit_op_rr(b->code, 0x89, false, HOST_SCRATCH, HOST_SCRATCH);
		register_store(b, guest, HOST_SCRATCH);
	} else {
		struct encoding e = sized(insn, 0x89);
		struct place place = place_vcpu(OFFSET_REGISTER(guest));
		emit_rm(b->code, &e, HOST_SCRATCH, &place);
	}
	flags_register_written(&b->flags, guest);
	return true;
}

/* ---- multiplication and division ----------------------------------------------------------------- */

/* The rm operand of group f6/f7, checked if it is memory, with HOST_SCRATCH free. */
struct operand {
	bool is_place;
	struct place place;
	unsigned host;
};

static struct operand group_operand(struct build *b, struct aside *aside)
{
	const struct insn *insn = b->insn;
	struct operand operand = {0};
	u8 guest = insn->rm >> 3;
	if (is_memory(insn)) {
		operand.is_place = true;
		operand.place = check_operand(b, aside, 1u << insn->operand_size, false, false);
	} else if (host_register(guest) == HOST_NONE) {
		operand.is_place = true;
		operand.place = place_vcpu(OFFSET_REGISTER(guest));
	} else {
		operand.host = host_register(guest);
	}
	return operand;
}

static void emit_operand(
	struct build *b, const struct encoding *e, unsigned reg, const struct operand *operand)
{
	if (operand->is_place)
		emit_rm(b->code, e, reg, &operand->place);
	else
		emit_rr(b->code, e, reg, operand->host);
}

static void results_written(struct build *b)
{
	register_store(b, RAX, HOST_SCRATCH);
	flags_register_written(&b->flags, RAX);
	flags_register_written(&b->flags, RDX);
}

static bool build_multiply(struct build *b)
{
	const struct insn *insn = b->insn;
	struct aside *aside = NULL;
	if (is_memory(insn)) {
		flags_clobber(b->code, &b->flags);
		aside = aside_open(b, ASIDE_INSN);
	}
	struct operand operand = group_operand(b, aside);
	struct encoding e = sized(insn, insn->opcode);
	register_load(b, HOST_SCRATCH, RAX);
	emit_operand(b, &e, insn->modrm >> 3 & 7, &operand);
	results_written(b);
	flags_were_set(&b->flags, b->insn);
	if (aside)
		aside_close(b, aside);
	return true;
}

/* Quotients that do not fit, and divisors of 0, are the semantics'. DIV: the upper half must be below the divisor. */
static void check_unsigned(struct build *b, struct aside *aside, const struct operand *operand)
{
	struct encoding compare = sized(b->insn, 0x3b);
	emit_operand(b, &compare, host_register(RDX), operand);
	aside_jump(aside, emit_jcc(b->code, 3)); /* jae */
}

/* IDIV: a dividend that is the extension of its lower half, and a divisor that is neither 0 nor -1. */
static void check_signed(struct build *b, struct aside *aside, const struct operand *operand)
{
	bool wide = b->insn->operand_size == SIZE_64;
	struct encoding load = sized(b->insn, 0x8b);
	emit_op_rr(b->code, 0x89, wide, host_register(RAX), HOST_SCRATCH);
	emit_op_rr(b->code, 0xc1, wide, 7, HOST_SCRATCH);
	emit_8(b->code, wide ? 63 : 31);
	emit_op_rr(b->code, 0x39, wide, HOST_SCRATCH, RDX);
	aside_jump(aside, emit_jcc(b->code, 5));
	emit_operand(b, &load, HOST_SCRATCH, operand);
	emit_group1(b->code, 0, wide, HOST_SCRATCH, 1);
	emit_group1(b->code, 7, wide, HOST_SCRATCH, 1);
	aside_jump(aside, emit_jcc(b->code, 6)); /* jbe */
}

/* They stay (x86/execute/multiply.c), and so must not hang on registers that are written. */
static void keep_flags(struct build *b)
{
	flags_clobber(b->code, &b->flags);
	if (flags_need_register(&b->flags, RAX) || flags_need_register(&b->flags, RDX))
		flags_to_memory(b->code, &b->flags);
	b->flags.in_host = false;
}

static bool build_divide(struct build *b)
{
	const struct insn *insn = b->insn;
	unsigned group = insn->modrm >> 3 & 7;
	if (insn->operand_size < SIZE_32)
		return false;
	keep_flags(b);
	struct aside *aside = aside_open(b, ASIDE_INSN);
	struct operand operand = group_operand(b, aside);
	struct encoding e = sized(insn, 0x8b);
	if (is_memory(insn)) {
		/* Read once: what another processor writes meanwhile would make the host's division fail. */
		emit_operand(b, &e, HOST_ADDRESS, &operand);
		operand = (struct operand){.host = HOST_ADDRESS};
	}
	if (group == 6)
		check_unsigned(b, aside, &operand);
	else
		check_signed(b, aside, &operand);
	e.opcode = 0xf7;
	register_load(b, HOST_SCRATCH, RAX);
	emit_operand(b, &e, group, &operand);
	results_written(b);
	aside_close(b, aside);
	return true;
}

/* ---- CMPXCHG, shifts by CL, flags ---------------------------------------------------------------- */

static bool build_compare_exchange(struct build *b)
{
	const struct insn *insn = b->insn;
	unsigned bytes = 1u << insn->operand_size;
	u8 reg = host_register(insn->reg >> 3);
	if (!is_memory(insn) || !operand_is_reachable(insn) || !is_whole(insn->reg) ||
		reg == HOST_NONE)
		return false;
	struct encoding e = sized(insn, insn->opcode);
	e.map = 1;
	e.has_lock = insn->flags & INSN_LOCK;
	flags_clobber(b->code, &b->flags);
	struct aside *aside = aside_open(b, ASIDE_INSN);
	struct place place = check_operand(b, aside, bytes, true, true);
	register_load(b, HOST_SCRATCH, RAX);
	emit_rm(b->code, &e, reg, &place);
	register_store(b, RAX, HOST_SCRATCH);
	flags_register_written(&b->flags, RAX);
	flags_were_set(&b->flags, insn);
	aside_close(b, aside);
	return true;
}

/* RDX and RBX are where the host's instruction wants them, and the thunk sees to the others. */
static bool build_compare_exchange_16(struct build *b)
{
	const struct insn *insn = b->insn;
	if (!(opcode_rows[insn->row].attributes & ROW_REXW) || !is_memory(insn) ||
		!(insn->flags & INSN_FLAT) || (insn->modrm >> 3 & 7) != 1)
		return false;
	flags_clobber(b->code, &b->flags);
	struct aside *aside = aside_open(b, ASIDE_INSN);
	struct place place = check_operand(b, aside, 16, true, true);
	flags_to_host(b->code, &b->flags);
	emit_lea(b->code, HOST_ADDRESS, place);
	emit_call(b->code, b->translator->thunk_cmpxchg16b);
	flags_register_written(&b->flags, RAX);
	flags_register_written(&b->flags, RDX);
	flags_were_set(&b->flags, insn);
	aside_close(b, aside);
	return true;
}

/* Groups d2, d3 and SHLD, SHRD by CL. The count may be 0, which leaves the flags. */
static bool build_shift_by_cl(struct build *b)
{
	const struct insn *insn = b->insn;
	const struct opcode_row *row = &opcode_rows[insn->row];
	bool is_double = row->map == 1;
	unsigned reg = insn->modrm >> 3 & 7;
	if (is_double)
		reg = host_register(insn->reg >> 3);
	if (reg == HOST_NONE || (is_memory(insn) && !operand_is_reachable(insn)) ||
		(!is_memory(insn) && !is_whole(insn->rm)))
		return false;
	struct encoding e = sized(insn, insn->opcode);
	e.map = row->map;
	struct aside *aside = NULL;
	struct place place = place_base(HOST_SCRATCH, 0);
	if (is_memory(insn)) {
		flags_clobber(b->code, &b->flags);
		aside = aside_open(b, ASIDE_INSN);
		place = check_operand(b, aside, 1u << insn->operand_size, true, false);
		flags_to_host(b->code, &b->flags);
		emit_lea(b->code, HOST_SCRATCH, place);
		place = place_base(HOST_SCRATCH, 0);
		register_load(b, HOST_ADDRESS, RCX);
		emit_rm(b->code, &e, reg, &place);
	} else {
		unsigned guest = insn->rm >> 3;
		flags_to_host(b->code, &b->flags);
		unsigned host = register_use(b, guest, HOST_SCRATCH);
		register_load(b, HOST_ADDRESS, RCX);
		emit_rr(b->code, &e, reg, host);
		register_store(b, guest, host);
		flags_register_written(&b->flags, guest);
	}
	flags_were_set(&b->flags, insn);
	if (aside)
		aside_close(b, aside);
	return true;
}

static bool build_carry(struct build *b)
{
	flags_to_host(b->code, &b->flags);
	emit_8(b->code, b->insn->opcode);
	flags_were_set(&b->flags, b->insn);
	return true;
}

/* ---- which is it --------------------------------------------------------------------------------- */

static bool build_special_1(struct build *b)
{
	const struct insn *insn = b->insn;
	unsigned opcode = insn->opcode, group = insn->modrm >> 3 & 7;
	if (opcode < 0x40)
		return (opcode & 7) >= 4 && (opcode & 7) < 6 && build_accumulator(b);
	switch (opcode) {
	case 0x40 ... 0x4f:
		return build_step(b);
	case 0x8d:
		return build_lea(b);
	case 0xa0 ... 0xa3:
		return build_move_offset(b);
	case 0x90 ... 0x97:
		if (opcode_rows[insn->row].operand_count)
			return build_exchange_accumulator(b);
		return opcode_rows[insn->row].prefixes != ROW_PREFIX_F3; /* NOP, not PAUSE */
	case 0x98:
	case 0x99:
		return build_extend(b);
	case 0xa8:
	case 0xa9:
		return build_accumulator(b);
	case 0xb0 ... 0xbf:
		return build_move_immediate(b);
	case 0xd2:
	case 0xd3:
		return build_shift_by_cl(b);
	case 0xf5:
	case 0xf8:
	case 0xf9:
		return build_carry(b);
	case 0xf6:
	case 0xf7:
		if (group < 4 ||
			(is_memory(insn) ? !operand_is_reachable(insn) : !is_whole(insn->rm)))
			return false;
		return group < 6 && build_multiply(b);
	}
	return false;
}

static bool build_special_0f(struct build *b)
{
	const struct insn *insn = b->insn;
	unsigned opcode = insn->opcode;
	switch (opcode) {
	case 0x0d:
	case 0x18 ... 0x1f: /* hints and NOPs */
		return true;
	case 0xa5:
	case 0xad:
		return build_shift_by_cl(b);
	case 0xb0:
	case 0xb1:
		return build_compare_exchange(b);
	case 0xc7:
		return build_compare_exchange_16(b);
	case 0xc8 ... 0xcf:
		return build_bswap(b);
	}
	return false;
}

static bool is_division(const struct insn *insn, const struct opcode_row *row)
{
	return row->map == 0 && (insn->opcode & 0xfe) == 0xf6 && (insn->modrm >> 3 & 7) >= 6;
}

bool build_special(struct build *b)
{
	const struct opcode_row *row = &opcode_rows[b->insn->row];
	if (is_division(b->insn, row))
		return (is_memory(b->insn) ? operand_is_reachable(b->insn)
					   : is_whole(b->insn->rm)) &&
			build_divide(b);
	if (row->class != ROW_CLASS_COPY)
		return false;
	return row->map == 0 ? build_special_1(b) : row->map == 1 && build_special_0f(b);
}
