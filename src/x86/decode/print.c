/* SPDX-License-Identifier: MIT */
/* One instruction as text, in Intel's syntax, by the rows that the decoder uses. */
#include "x86/decode/decode.h"
#include "x86/cpu.h"
#include "x86/decode/rows.h"

static const char *const conditions[16] = {
	"o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"};
static const char *const segments[] = {"es", "cs", "ss", "ds", "fs", "gs"};

/* A general register, or 1, 2, 4 or 8 bytes of it. */
static void print_general(struct text *text, unsigned location, unsigned bytes)
{
	static const char *const old[8] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};
	unsigned number = location / 8;

	if (bytes == 1 && location % 8)
		text_format(text, "%ch", "acdb"[number & 3]);
	else if (number >= 8)
		text_format(text, "r%u%s", number,
			bytes == 1	     ? "b"
				: bytes == 2 ? "w"
				: bytes == 4 ? "d"
					     : "");
	else if (bytes == 1 && number < 4)
		text_format(text, "%cl", "acdb"[number]);
	else if (bytes == 1)
		text_format(text, "%sl", old[number]);
	else
		text_format(text, "%s%s", bytes == 2 ? "" : bytes == 4 ? "e" : "r", old[number]);
}

static void print_address_register(struct text *text, const struct insn *insn, unsigned location)
{
	if (location == LOCATION_RIP)
		text_append(text, insn->address_size == SIZE_64 ? "rip" : "eip");
	else
		print_general(text, location, 1u << insn->address_size);
}

static void print_offset(struct text *text, const struct insn *insn, bool is_alone)
{
	i64 displacement = insn->displacement;
	u64 magnitude = (u64)(displacement < 0 ? -displacement : displacement);

	if (is_alone)
		text_format(text, "0x%llx",
			(unsigned long long)((u64)displacement &
				bits_mask(8u << insn->address_size)));
	else if (displacement)
		text_format(text, "%c0x%llx", displacement < 0 ? '-' : '+',
			(unsigned long long)magnitude);
}

/* Of a gather: the register that holds the indexes (VSIB). */
static void print_index_vector(struct text *text, const struct insn *insn)
{
	u32 attributes = opcode_rows[insn->row].attributes;
	bool short_indexes = !(insn->opcode & 1) && (attributes & ROW_REXW);

	text_format(text, "%s%cmm%u*%u", insn->base == LOCATION_ZERO ? "" : "+",
		insn->operand_size == SIZE_256 && !short_indexes ? 'y' : 'x', insn->rm,
		1u << insn->scale);
}

/* base, index and displacement within brackets. */
static void print_address(struct text *text, const struct insn *insn)
{
	bool has_base = insn->base != LOCATION_ZERO, has_index = insn->index != LOCATION_ZERO;

	text_append_char(text, '[');
	if (has_base)
		print_address_register(text, insn, insn->base);
	if (has_index) {
		if (has_base)
			text_append_char(text, '+');
		print_address_register(text, insn, insn->index);
		if (insn->scale)
			text_format(text, "*%u", 1u << insn->scale);
	}
	if (opcode_rows[insn->row].attributes & ROW_VSIB) {
		print_index_vector(text, insn);
		has_index = true;
	}
	print_offset(text, insn, !has_base && !has_index);
	text_append_char(text, ']');
}

static void print_width(
	struct text *text, const struct insn *insn, const struct row_operand *operand)
{
	static const char *const names[] = {[1] = "byte",
		[2] = "word",
		[4] = "dword",
		[6] = "fword",
		[8] = "qword",
		[10] = "tbyte",
		[16] = "xmmword",
		[32] = "ymmword"};
	unsigned bytes = row_operand_bytes(insn, operand, true);

	if (bytes < ARRAY_SIZE(names) && names[bytes])
		text_format(text, "%s ptr ", names[bytes]);
}

static void print_memory(
	struct text *text, const struct insn *insn, const struct row_operand *operand)
{
	print_width(text, insn, operand);
	/* What an address says by itself is not told: SS for a stack base, DS else. */
	if (insn->segment < ARRAY_SIZE(segments) && insn->segment != SEGMENT_DS &&
		!(insn->segment == SEGMENT_SS && (insn->base == RSP * 8 || insn->base == RBP * 8)))
		text_format(text, "%s:", segments[insn->segment]);
	if (operand->kind == OPERAND_O)
		text_format(text, "[0x%llx]", (unsigned long long)insn->immediate);
	else
		print_address(text, insn);
}

/* The second of two string operands: always ES:rDI. */
static void print_destination(
	struct text *text, const struct insn *insn, const struct row_operand *operand)
{
	print_width(text, insn, operand);
	text_append(text, "es:[");
	print_general(text, RDI * 8, 1u << insn->address_size);
	text_append_char(text, ']');
}

static void print_immediate(
	struct text *text, const struct insn *insn, const struct row_operand *operand)
{
	const struct opcode_row *row = &opcode_rows[insn->row];
	u64 value = insn->immediate;

	if (operand != row->operands && row->operands[0].kind == OPERAND_I)
		value >>= 16; /* ENTER's second */
	if (operand->size == OPERAND_SIZE_B || operand->size == OPERAND_SIZE_W)
		value &= bits_mask(8 * row_operand_bytes(insn, operand, false));
	else
		value &= bits_mask(8u << insn->operand_size);
	text_format(text, "0x%llx", (unsigned long long)value);
}

static void print_target(struct text *text, const struct insn *insn, u64 address)
{
	u64 target = address + insn->length + insn->immediate;

	text_format(
		text, "0x%llx", (unsigned long long)(target & bits_mask(8u << insn->operand_size)));
}

/* XMM or YMM, by the operand's size. */
static void print_vector(struct text *text, const struct insn *insn,
	const struct row_operand *operand, unsigned number)
{
	bool is_wide = row_operand_bytes(insn, operand, false) == 32;

	text_format(text, "%cmm%u", is_wide ? 'y' : 'x', number);
}

static void print_register_or_memory(struct text *text, const struct insn *insn,
	const struct row_operand *operand, const char *register_name)
{
	if (insn->flags & INSN_MEMORY)
		print_memory(text, insn, operand);
	else if (register_name)
		text_format(text, "%s%u", register_name, insn->rm);
	else
		print_general(text, insn->rm, row_operand_bytes(insn, operand, false));
}

static void print_by_letter(
	struct text *text, const struct insn *insn, const struct row_operand *operand, u64 address)
{
	switch (operand->kind) {
	case OPERAND_E:
	case OPERAND_M:
	case OPERAND_R:
		print_register_or_memory(text, insn, operand, NULL);
		break;
	case OPERAND_N:
	case OPERAND_Q:
		print_register_or_memory(text, insn, operand, "mm");
		break;
	case OPERAND_U:
	case OPERAND_W:
		if (insn->flags & INSN_MEMORY)
			print_memory(text, insn, operand);
		else
			print_vector(text, insn, operand, insn->rm);
		break;
	case OPERAND_V:
		print_vector(text, insn, operand, insn->reg);
		break;
	case OPERAND_H:
		print_vector(text, insn, operand, insn->vvvv);
		break;
	case OPERAND_L:
		print_vector(text, insn, operand,
			insn->immediate >> 4 & (insn->code_size == SIZE_64 ? 15 : 7));
		break;
	case OPERAND_K:
		print_general(text, insn->vvvv * 8, row_operand_bytes(insn, operand, false));
		break;
	case OPERAND_G:
	case OPERAND_Z:
		print_general(text, insn->reg, row_operand_bytes(insn, operand, false));
		break;
	case OPERAND_X:
	case OPERAND_O:
	case OPERAND_B:
		print_memory(text, insn, operand);
		break;
	case OPERAND_Y:
		print_destination(text, insn, operand);
		break;
	case OPERAND_S:
		text_append(text, segments[insn->reg % ARRAY_SIZE(segments)]);
		break;
	case OPERAND_J:
		print_target(text, insn, address);
		break;
	case OPERAND_A:
		text_format(text, "0x%x:0x%x", (unsigned)(insn->immediate >> 32),
			(unsigned)insn->immediate);
		break;
	case OPERAND_I:
		print_immediate(text, insn, operand);
		break;
	default:
		text_format(text, "%s%u",
			operand->kind == OPERAND_C	     ? "cr"
				: operand->kind == OPERAND_D ? "dr"
							     : "mm",
			insn->reg);
	}
}

static void print_operand(
	struct text *text, const struct insn *insn, const struct row_operand *operand, u64 address)
{
	switch (operand->kind) {
	case OPERAND_AL:
	case OPERAND_CL:
		print_general(text, (operand->kind == OPERAND_AL ? RAX : RCX) * 8, 1);
		break;
	case OPERAND_AX:
	case OPERAND_DX:
		print_general(text, (operand->kind == OPERAND_AX ? RAX : RDX) * 8, 2);
		break;
	case OPERAND_EAX:
	case OPERAND_RAX:
		print_general(text, RAX * 8, 1u << insn->operand_size);
		break;
	case OPERAND_ONE:
		text_append(text, "1");
		break;
	case OPERAND_ES ... OPERAND_GS:
		text_append(text, segments[operand->kind - OPERAND_ES]);
		break;
	case OPERAND_ST:
		text_append(text, "st(0)");
		break;
	case OPERAND_STI:
		text_format(text, "st(%u)", insn->modrm & 7);
		break;
	case OPERAND_XMM0:
		text_append(text, "xmm0");
		break;
	default:
		print_by_letter(text, insn, operand, address);
	}
}

/* Which of a mnemonic's alternatives: a/b/c go by operand size, a|b|c by address size. */
static const char *alternative_find(const struct insn *insn, const char *mnemonic)
{
	unsigned wanted = 0, at = 0;
	const char *found = mnemonic;

	for (const char *c = mnemonic; *c; c++) {
		if (*c != '/' && *c != '|')
			continue;
		wanted = (*c == '/' ? insn->operand_size : insn->address_size) - SIZE_16;
		if (++at <= wanted)
			found = c + 1;
	}
	return found;
}

static void print_mnemonic(struct text *text, const struct insn *insn, const struct opcode_row *row)
{
	const char *c = alternative_find(insn, row->mnemonic);

	for (; *c && *c != '/' && *c != '|'; c++) {
		if (row->opcodes == 16 && text_equal(c, "cc")) {
			text_append(text, conditions[insn->opcode & 15]);
			return;
		}
		text_append_char(text, *c);
	}
}

static void print_prefixes(struct text *text, const struct insn *insn, const struct opcode_row *row)
{
	if (insn->flags & INSN_LOCK)
		text_append(text, "lock ");
	if (insn->flags & INSN_REPNE)
		text_append(text, "repne ");
	if (insn->flags & INSN_REP)
		text_append(text, row->attributes & ROW_REPZ ? "repe " : "rep ");
}

void insn_print(struct text *text, const struct insn *insn, u64 address)
{
	const struct opcode_row *row;

	if (insn->row == ROW_INVALID) {
		text_append(text, "(invalid)");
		return;
	}
	row = &opcode_rows[insn->row];
	print_prefixes(text, insn, row);
	print_mnemonic(text, insn, row);
	for (unsigned i = 0; i < row->operand_count; i++) {
		text_append(text, i ? ", " : " ");
		print_operand(text, insn, &row->operands[i], address);
	}
}
