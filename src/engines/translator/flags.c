/* SPDX-License-Identifier: MIT */
#include "engines/translator/flags.h"

static bool is_shift_group(const struct insn *insn, const struct opcode_row *row)
{
	u8 opcode = insn->opcode;
	if (row->map == 0)
		return opcode == 0xc0 || opcode == 0xc1 || (opcode >= 0xd0 && opcode <= 0xd3);
	return row->map == 1 &&
		(opcode == 0xa4 || opcode == 0xa5 || opcode == 0xac || opcode == 0xad);
}

/* A count of 0 leaves the flags as they are. */
static bool may_shift_by_zero(const struct insn *insn, const struct opcode_row *row)
{
	if (!is_shift_group(insn, row))
		return false;
	if (row->operands[row->operand_count - 1].kind == OPERAND_CL)
		return true;
	return !(insn->immediate & (insn->operand_size == SIZE_64 ? 63 : 31));
}

unsigned flags_use(const struct insn *insn)
{
	const struct opcode_row *row = &opcode_rows[insn->row];
	unsigned written = (row->flags_written | row->flags_undefined) & ROW_FLAGS_ARITHMETIC;
	unsigned use = row->flags_read & ROW_FLAGS_ARITHMETIC ? FLAGS_READ : 0;
	if (!written)
		return use;
	use |= FLAGS_WRITTEN;
	if (written != ROW_FLAGS_ARITHMETIC || may_shift_by_zero(insn, row))
		use |= FLAGS_READ;
	return use & FLAGS_READ ? use : use | FLAGS_KILLED;
}

/* ---- recipes ------------------------------------------------------------------------------------- */

static bool is_whole_register(u8 location)
{
	return !(location & 7) && location < 16 * 8;
}

static bool take_register(u8 location, u8 *guest)
{
	*guest = location >> 3;
	return is_whole_register(location);
}

/* add, or, adc, sbb, and, sub, xor, cmp by the encoding's number: what its flags can be had from again. */
static unsigned kind_of_arithmetic(unsigned number)
{
	static const u8 kinds[8] = {RECIPE_ADD, RECIPE_TEST, RECIPE_NONE, RECIPE_NONE, RECIPE_TEST,
		RECIPE_SUBTRACT, RECIPE_TEST, RECIPE_COMPARE};
	return kinds[number];
}

/* Logic: the result against itself. */
static void recipe_of_result(struct recipe *recipe)
{
	recipe->has_register = true;
	recipe->b = recipe->a;
}

/* The arithmetic block 00-3d: register forms, and those with a memory source where the result tells all. */
static void recipe_arithmetic(struct recipe *recipe, const struct insn *insn)
{
	unsigned kind = kind_of_arithmetic(insn->opcode >> 3 & 7), form = insn->opcode & 7;
	bool is_memory = insn->flags & INSN_MEMORY;
	if (kind == RECIPE_NONE)
		return;
	if (form >= 4) { /* AL or rAX and an immediate */
		recipe->immediate = (i32)insn->immediate;
		recipe->a = RAX;
		recipe->kind = (u8)kind;
	} else if (is_memory) {
		if (form < 2 || kind != RECIPE_TEST || !take_register(insn->reg, &recipe->a))
			return;
		recipe->kind = RECIPE_TEST;
	} else {
		u8 to = form < 2 ? insn->rm : insn->reg, from = form < 2 ? insn->reg : insn->rm;
		if (!take_register(to, &recipe->a) || !take_register(from, &recipe->b))
			return;
		recipe->has_register = true;
		recipe->kind = (u8)kind;
	}
	/* What was added is lost when it is the sum itself. */
	if (recipe->has_register && recipe->a == recipe->b && kind != RECIPE_COMPARE &&
		kind != RECIPE_TEST)
		recipe->kind = RECIPE_NONE;
	if (kind == RECIPE_TEST)
		recipe_of_result(recipe);
}

static void recipe_group1(struct recipe *recipe, const struct insn *insn)
{
	unsigned kind = kind_of_arithmetic(insn->modrm >> 3 & 7);
	if (kind == RECIPE_NONE || insn->flags & INSN_MEMORY ||
		!take_register(insn->rm, &recipe->a))
		return;
	recipe->immediate = (i32)insn->immediate;
	recipe->kind = (u8)kind;
	if (kind == RECIPE_TEST)
		recipe_of_result(recipe);
}

static void recipe_test(struct recipe *recipe, const struct insn *insn)
{
	if (insn->flags & INSN_MEMORY || !take_register(insn->rm, &recipe->a))
		return;
	if (insn->opcode == 0x84 || insn->opcode == 0x85) {
		if (!take_register(insn->reg, &recipe->b))
			return;
		recipe->has_register = true;
	} else {
		recipe->immediate = (i32)insn->immediate;
	}
	recipe->kind = RECIPE_TEST;
}

static struct recipe recipe_of(const struct insn *insn)
{
	const struct opcode_row *row = &opcode_rows[insn->row];
	struct recipe recipe = {.size = insn->operand_size};
	u8 opcode = insn->opcode;
	if (row->map != 0)
		return recipe;
	if (opcode < 0x40)
		recipe_arithmetic(&recipe, insn);
	else if (opcode >= 0x80 && opcode <= 0x83)
		recipe_group1(&recipe, insn);
	else if (opcode == 0x84 || opcode == 0x85)
		recipe_test(&recipe, insn);
	else if (opcode == 0xa8 || opcode == 0xa9) {
		recipe.a = RAX;
		recipe.immediate = (i32)insn->immediate;
		recipe.kind = RECIPE_TEST;
	} else if ((opcode == 0xf6 || opcode == 0xf7) && (insn->modrm >> 3 & 7) < 2)
		recipe_test(&recipe, insn);
	return recipe;
}

/* One instruction of the recipe's size; b of a is a register or the immediate. */
static void emit_sized(struct code *code, const struct recipe *recipe, unsigned opcode_rr,
	unsigned opcode_group, unsigned extension, unsigned a)
{
	bool is_byte = recipe->size == SIZE_8;
	struct encoding e = {.has_66 = recipe->size == SIZE_16,
		.is_wide = recipe->size == SIZE_64,
		.needs_rex = is_byte};
	if (recipe->has_register) {
		u8 b = host_register(recipe->b);
		e.opcode = (u8)(opcode_rr - is_byte);
		if (b == HOST_NONE) {
			/* a op= memory: the form with the operands the other way round; TEST has only one. */
			struct place place = place_vcpu(OFFSET_REGISTER(recipe->b));
			e.opcode = opcode_rr == 0x85 ? e.opcode : e.opcode + 2;
			emit_rm(code, &e, a, &place);
		} else {
			emit_rr(code, &e, b, a);
		}
		return;
	}
	e.opcode = (u8)(opcode_group - is_byte);
	emit_rr(code, &e, extension, a);
	if (is_byte)
		emit_8(code, (u8)recipe->immediate);
	else if (recipe->size == SIZE_16)
		emit_bytes(code, &recipe->immediate, 2);
	else
		emit_32(code, (u32)recipe->immediate);
}

static void recipe_do(struct code *code, const struct recipe *recipe)
{
	u8 a = host_register(recipe->a);
	bool is_sum = recipe->kind == RECIPE_ADD || recipe->kind == RECIPE_SUBTRACT;
	if (a == HOST_NONE)
		emit_load(code, HOST_SCRATCH, place_vcpu(OFFSET_REGISTER(recipe->a)));
	else if (is_sum)
		emit_mov(code, HOST_SCRATCH, a);
	if (a == HOST_NONE || is_sum)
		a = HOST_SCRATCH;
	switch (recipe->kind) {
	case RECIPE_COMPARE:
		emit_sized(code, recipe, 0x39, 0x81, 7, a);
		break;
	case RECIPE_TEST:
		emit_sized(code, recipe, 0x85, 0xf7, 0, a);
		break;
	case RECIPE_ADD:
		emit_sized(code, recipe, 0x29, 0x81, 5, a);
		emit_sized(code, recipe, 0x01, 0x81, 0, a);
		break;
	default:
		emit_sized(code, recipe, 0x01, 0x81, 0, a);
		emit_sized(code, recipe, 0x29, 0x81, 5, a);
	}
}

/* ---- the state ----------------------------------------------------------------------------------- */

void flags_clobber(struct code *code, struct flags *flags)
{
	if (flags->in_host && !flags->in_memory && flags->recipe.kind == RECIPE_NONE) {
		emit_flags_save(code);
		flags->in_memory = true;
	}
	flags->in_host = false;
}

void flags_to_host(struct code *code, struct flags *flags)
{
	if (flags->in_host)
		return;
	if (flags->recipe.kind != RECIPE_NONE)
		recipe_do(code, &flags->recipe);
	else
		emit_flags_load(code);
	flags->in_host = true;
}

void flags_to_memory(struct code *code, struct flags *flags)
{
	if (flags->in_memory)
		return;
	flags_to_host(code, flags);
	emit_flags_save(code);
	flags->in_memory = true;
}

void flags_were_set(struct flags *flags, const struct insn *insn)
{
	*flags = (struct flags){.in_host = true, .recipe = recipe_of(insn)};
}

static bool recipe_uses(const struct recipe *recipe, unsigned guest)
{
	return recipe->kind != RECIPE_NONE &&
		(recipe->a == guest || (recipe->has_register && recipe->b == guest));
}

bool flags_need_register(const struct flags *flags, unsigned guest)
{
	return !flags->in_host && !flags->in_memory && recipe_uses(&flags->recipe, guest);
}

void flags_register_written(struct flags *flags, unsigned guest)
{
	if (recipe_uses(&flags->recipe, guest))
		flags->recipe.kind = RECIPE_NONE;
}
