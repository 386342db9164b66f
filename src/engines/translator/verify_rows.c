/* SPDX-License-Identifier: MIT */
/* What translated code may consist of, and which words of struct cpu it may touch: the verifier's tables. */
#include "engines/translator/verify_step.h"
#include "x86/fpu.h"

/* ---- instructions -------------------------------------------------------------------------------- */

#define ANY 0xff

/* Opcodes whose effect is more than "something is written", and what must not be there though it is of class copy. */
/* clang-format off */
static const struct special {
	u8 map, opcode, group; /* ModRM.reg, or ANY */
	u8 action;
} specials[] = {
	{0, 0x01, ANY, ACTION_ADD},
	{0, 0x03, ANY, ACTION_ADD},
	{0, 0x39, ANY, ACTION_COMPARE},
	{0, 0x3b, ANY, ACTION_COMPARE},
	{0, 0x69, ANY, ACTION_MULTIPLY},
	{0, 0x70, ANY, ACTION_JCC},
	{0, 0x80, 7, ACTION_COMPARE},
	{0, 0x81, 0, ACTION_ADD},
	{0, 0x81, 4, ACTION_AND},
	{0, 0x81, 7, ACTION_COMPARE},
	{0, 0x83, 0, ACTION_ADD},
	{0, 0x83, 4, ACTION_AND},
	{0, 0x83, 7, ACTION_COMPARE},
	{0, 0x89, ANY, ACTION_MOVE},
	{0, 0x8b, ANY, ACTION_MOVE},
	{0, 0x8d, ANY, ACTION_LEA},
	{0, 0x9f, ANY, ACTION_FLAGS},
	{0, 0xb8, ANY, ACTION_CONSTANT},
	{0, 0xc1, 4, ACTION_SHIFT},
	{0, 0xc1, 5, ACTION_SHIFT},
	{0, 0xc1, 7, ACTION_SHIFT},
	{0, 0xc6, 0, ACTION_STORE_BYTE},
	{0, 0xe3, ANY, ACTION_JRCXZ},
	{0, 0xe8, ANY, ACTION_CALL},
	{0, 0xe9, ANY, ACTION_JMP},
	{0, 0xeb, ANY, ACTION_JMP},
	{0, 0xf6, 0, ACTION_TEST},
	{0, 0xf7, 6, ACTION_DIVIDE},
	{0, 0xf7, 7, ACTION_DIVIDE},
	{0, 0xfc, ANY, ACTION_REFUSED}, /* CLD, STD: the host's DF is 0 */
	{0, 0xfd, ANY, ACTION_REFUSED},
	{0, 0xff, 4, ACTION_JMP_INDIRECT},
	{1, 0x80, ANY, ACTION_JCC},
	{1, 0xc7, 1, ACTION_REFUSED}, /* CMPXCHG8B, 16B: not emitted */
};
/* clang-format on */

/* Implied registers: RAX, and RDX if `rdx`. */
static const struct implied {
	u8 map, opcode, group;
	bool rdx;
} implied[] = {
	{0, 0x98, ANY, false},
	{0, 0x99, ANY, true},
	{0, 0x9e, ANY, false},
	{0, 0xf6, 4, false},
	{0, 0xf6, 5, false},
	{0, 0xf7, 4, true},
	{0, 0xf7, 5, true},
	{0, 0xf7, 6, true},
	{0, 0xf7, 7, true},
	{1, 0xb0, ANY, false},
	{1, 0xb1, ANY, false},
};

static bool is_group(const struct opcode_row *row, unsigned group)
{
	return group == ANY ||
		((row->modrm_mask & 0x38) == 0x38 && (row->modrm_value >> 3 & 7) == group);
}

static u8 action_of(const struct opcode_row *row)
{
	for (unsigned i = 0; i < ARRAY_SIZE(specials); i++)
		if (specials[i].map == row->map && specials[i].opcode == row->opcode &&
			is_group(row, specials[i].group))
			return specials[i].action;
	return row->class == ROW_CLASS_COPY ? ACTION_PLAIN : ACTION_REFUSED;
}

static void implied_of(const struct opcode_row *row, struct row_facts *facts)
{
	for (unsigned i = 0; i < ARRAY_SIZE(implied); i++) {
		if (implied[i].map != row->map || implied[i].opcode != row->opcode ||
			!is_group(row, implied[i].group))
			continue;
		facts->fixed = ACCESS_R | ACCESS_W;
		facts->implies_rdx = implied[i].rdx;
	}
}

/* False: an operand of a kind that translated code never has. */
static bool take_operand(struct row_facts *facts, const struct row_operand *operand, u8 number)
{
	switch (operand->kind) {
	case OPERAND_E:
	case OPERAND_R:
	case OPERAND_M:
		facts->memory = facts->rm_operand = number;
		facts->rm = operand->access;
		return true;
	case OPERAND_U: /* INSERTPS's is memory, too */
	case OPERAND_W:
	case OPERAND_N: /* PUNPCKLBW's and its like */
	case OPERAND_Q:
		facts->memory = number;
		return true;
	case OPERAND_G:
	case OPERAND_Z:
		facts->reg = operand->access;
		facts->reg_operand = number;
		return true;
	case OPERAND_K:
		facts->vvvv = operand->access;
		facts->vvvv_operand = number;
		return true;
	case OPERAND_AX:
		facts->is_fixed_part = true;
		/* fall through */
	case OPERAND_AL:
	case OPERAND_RAX:
		facts->fixed = operand->access;
		return true;
	case OPERAND_I:
	case OPERAND_J:
	case OPERAND_ONE:
	case OPERAND_CL:
	case OPERAND_V:
	case OPERAND_H:
	case OPERAND_L:
	case OPERAND_XMM0:
	case OPERAND_P:
	case OPERAND_ST:
	case OPERAND_STI:
		return true;
	default:
		return false;
	}
}

/* MMX registers are x87's; EMMS names none. */
static bool uses_mmx(const struct opcode_row *row)
{
	for (u8 n = 0; n < row->operand_count; n++)
		if (row->operands[n].kind == OPERAND_P || row->operands[n].kind == OPERAND_N ||
			row->operands[n].kind == OPERAND_Q)
			return true;
	return row->map == 1 && row->opcode == 0x77;
}

static u8 fpu_of(const struct opcode_row *row)
{
	if (row->attributes & ROW_FPU || uses_mmx(row))
		return FPU_X87;
	if (!(row->attributes & ROW_SIMD))
		return 0;
	return row->map > OPCODE_MAP_VEX ? FPU_AVX : FPU_SSE;
}

void row_facts_make(struct row_facts *facts)
{
	for (unsigned i = 0; i < opcode_row_count; i++, facts++) {
		const struct opcode_row *row = &opcode_rows[i];
		*facts = (struct row_facts){.action = action_of(row),
			.memory = NO_OPERAND,
			.fpu = fpu_of(row),
			.is_aligned = row->attributes & ROW_ALIGNED,
			.sets_flags = row->flags_written | row->flags_undefined};
		for (u8 n = 0; n < row->operand_count; n++)
			if (!take_operand(facts, &row->operands[n], n))
				facts->action = ACTION_REFUSED;
		if (row->attributes & (ROW_CPL0 | ROW_IO | ROW_STRING | ROW_VSIB))
			facts->action = ACTION_REFUSED;
		implied_of(row, facts);
	}
}

/* ---- words of struct cpu ------------------------------------------------------------------------- */

#define WHOLE 0xff
#define AT(offset) [(offset) / 8]
#define PART(offset, bytes) ((u8)(((1u << (bytes)) - 1) << (offset) % 8))
#define FIELD(field) AT(OFFSET_OF(field))
#define OFFSET_IMAGE(offset) (OFFSET_OF(fpu.image) + (offset))
#define PART_OF(field) PART(OFFSET_OF(field), sizeof(((struct cpu *)0)->field))

static const struct word words[] = {
	AT(OFFSET_REGISTER(R13)) = {WHOLE, WHOLE, TERM_R13, WORD_PLAIN},
	AT(OFFSET_REGISTER(R14)) = {WHOLE, WHOLE, TERM_R14, WORD_PLAIN},
	AT(OFFSET_REGISTER(R15)) = {WHOLE, WHOLE, TERM_R15, WORD_PLAIN},
	AT(OFFSET_REGISTER(RIP)) = {0, WHOLE, TERM_NONE, WORD_PLAIN},
	AT(OFFSET_WORD(WORD_CODE_BASE)) = {WHOLE, WHOLE, TERM_CODE_BASE, WORD_PLAIN},
	AT(OFFSET_WORD(WORD_CODE_KEY)) = {WHOLE, 0, TERM_CODE_KEY, WORD_PLAIN},
	AT(OFFSET_WORD(WORD_CODE_KEY_GLOBAL)) = {WHOLE, 0, TERM_CODE_KEY_GLOBAL, WORD_PLAIN},
	AT(OFFSET_WORD(WORD_JUMPS)) = {WHOLE, 0, TERM_NONE, WORD_IS_JUMPS},
	AT(OFFSET_WORD(WORD_EDGE)) = {0, WHOLE, TERM_NONE, WORD_IS_EDGE},
	AT(OFFSET_WORD(WORD_TARGET)) = {WHOLE, WHOLE, TERM_TARGET, WORD_PLAIN},
	AT(OFFSET_WORD(WORD_TARGET_CODE)) = {WHOLE, WHOLE, TERM_NONE, WORD_IS_CODE},
	AT(OFFSET_WORD(WORD_FPU_LIVE)) = {WHOLE, 0, TERM_NONE, WORD_IS_FPU},
	AT(OFFSET_WORD(WORD_FPU_CONTROL)) = {0, WHOLE, TERM_NONE, WORD_PLAIN},
	AT(OFFSET_WORD(WORD_PLACE)) = {WHOLE, WHOLE, TERM_NONE, WORD_IS_PLACE},
	AT(OFFSET_WORD(WORD_PLACE + 1)) = {WHOLE, WHOLE, TERM_NONE, WORD_IS_PLACE},
	AT(OFFSET_WORD(WORD_PLACE + 2)) = {WHOLE, WHOLE, TERM_NONE, WORD_IS_PLACE},
	AT(OFFSET_WORD(WORD_RETIRED)) = {WHOLE, WHOLE, TERM_NONE, WORD_PLAIN},
	AT(OFFSET_WORD(WORD_LIMIT)) = {WHOLE, 0, TERM_NONE, WORD_PLAIN},
	AT(OFFSET_WORD(WORD_SECOND_WAYS)) = {WHOLE, WHOLE, TERM_NONE, WORD_PLAIN},
	AT(OFFSET_WORD(WORD_SEGMENTS)) = {WHOLE, 0, TERM_NONE, WORD_PLAIN},
	AT(OFFSET_WORD(WORD_START)) = {0, WHOLE, TERM_NONE, WORD_IS_START},
	/* With other_flags. */
	FIELD(arithmetic_flags) = {PART_OF(arithmetic_flags) | PART_OF(other_flags),
		PART_OF(arithmetic_flags) | PART_OF(other_flags), TERM_NONE, WORD_PLAIN},
	FIELD(cpl) = {PART_OF(cpl), PART_OF(tlb_mode), TERM_NONE, WORD_IS_CPL},
	FIELD(pending) = {PART_OF(pending), 0, TERM_NONE, WORD_PLAIN},
	FIELD(data_tlb) = {WHOLE, WHOLE, TERM_NONE, WORD_IS_TLB},
	FIELD(cr4) = {WHOLE, 0, TERM_NONE, WORD_PLAIN},
	FIELD(tlb.by_mode[TLB_SUPERVISOR]) = {WHOLE, 0, TERM_NONE, WORD_IS_MODE},
	FIELD(tlb.by_mode[TLB_SUPERVISOR_USER_OK]) = {WHOLE, 0, TERM_NONE, WORD_IS_MODE},
	AT(OFFSET_SEGMENT_BASE(SEGMENT_FS)) = {WHOLE, 0, TERM_FS, WORD_PLAIN},
	AT(OFFSET_SEGMENT_BASE(SEGMENT_GS)) = {WHOLE, WHOLE, TERM_GS, WORD_PLAIN},
	FIELD(msrs.kernel_gs_base) = {WHOLE, WHOLE, TERM_NONE, WORD_PLAIN},
	AT(OFFSET_IMAGE(FPU_FOP)) = {0, PART(FPU_FOP, 2), TERM_NONE, WORD_PLAIN},
	AT(OFFSET_IMAGE(FPU_FIP)) = {0, WHOLE, TERM_NONE, WORD_PLAIN},
	AT(OFFSET_IMAGE(FPU_FDP)) = {0, WHOLE, TERM_NONE, WORD_PLAIN},
};

_Static_assert(PLACES == 3, "the places above");
_Static_assert(OFFSET_OF(arithmetic_flags) / 8 == OFFSET_OF(other_flags) / 8, "one word");
_Static_assert(OFFSET_OF(cpl) / 8 == OFFSET_OF(tlb_mode) / 8, "one word");
_Static_assert(OFFSET_OF(cpl) / 8 != OFFSET_OF(pending) / 8, "two words");

const struct word *word_find(i32 offset, unsigned bytes, unsigned access)
{
	u32 number = (u32)offset / 8;
	unsigned first = (u32)offset % 8;
	if (number >= ARRAY_SIZE(words) || first + bytes > 8)
		return NULL;
	const struct word *word = &words[number];
	unsigned part = ((1u << bytes) - 1) << first;
	if ((access & ACCESS_R && part & ~(unsigned)word->read) ||
		(access & ACCESS_W && part & ~(unsigned)word->write))
		return NULL;
	return word;
}
