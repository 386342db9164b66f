/* SPDX-License-Identifier: MIT */
/*
 * Our decoder against Zydis on random and mutated bytes in all three code sizes: equal validity, length, memory operand,
 * and immediate. Zydis knows more than our models, so what it decodes is mapped to a feature of ours; the rest of
 * the differences is listed below, each with its reason.
 *
 * decode_zydis [--cases N] [--seed S] [--only K]    K: one case, told at length
 */
#include <Zydis/Zydis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "x86/cpu.h"
#include "x86/decode/decode.h"
#include "x86/decode/rows.h"
#include "x86/features.h"

#define BUFFER 24
#define F(name) BIT(FEATURE_##name)
#define ALL_FEATURES (BIT(FEATURE_COUNT) - 1)

/* As the model x86-64-v2 has them; the other half of the cases runs with everything that has rows. */
static const u64 v2_features = F(BASE) | F(X87) | F(CMOV) | F(CX8) | F(MMX) | F(SSE) | F(SSE2) |
	F(SSE3) | F(SSSE3) | F(SSE41) | F(SSE42) | F(POPCNT) | F(CX16) | F(LAHF64) | F(FXSR) |
	F(XSAVE) | F(AES) | F(PCLMUL) | F(RDRAND) | F(RDTSCP) | F(SYSCALL) | F(SYSENTER) | F(LM) |
	F(CLFLUSH) | F(INVPCID) | F(SMAP) | F(FSGSBASE) | F(TSC) | F(MSR);

/* Zydis' sets that have rows of ours, and the feature that they hang on. What is not here is no instruction to us. */
static const struct {
	ZydisISASet set;
	u64 features;
} known_sets[] = {
#define SET(name, feature)                       \
	{                                        \
		ZYDIS_ISA_SET_##name, F(feature) \
	}
	SET(I86, BASE),
	SET(I186, BASE),
	SET(I286PROTECTED, BASE),
	SET(I286REAL, BASE),
	SET(I386, BASE),
	SET(I486, BASE),
	SET(I486REAL, BASE),
	SET(PENTIUMREAL, BASE),
	SET(PPRO, BASE),
	SET(FAT_NOP, BASE),
	SET(PAUSE, BASE),
	SET(RDPMC, BASE),
	SET(PREFETCH_NOP, LM),
	SET(LONGMODE, LM),
	SET(AMD, BASE),
	SET(LAHF, BASE),
	SET(X87, X87),
	SET(FCMOV, X87),
	SET(CMOV, CMOV),
	SET(PENTIUMMMX, MMX),
	SET(SSE, SSE),
	SET(SSEMXCSR, SSE),
	SET(SSE_PREFETCH, SSE),
	SET(SSE2, SSE2),
	SET(SSE2MMX, SSE2),
	SET(SSE3, SSE3),
	SET(SSE3X87, SSE3),
	SET(SSSE3, SSSE3),
	SET(SSSE3MMX, SSSE3),
	SET(SSE4, SSE41),
	SET(SSE42, SSE42),
	SET(POPCNT, POPCNT),
	SET(CMPXCHG16B, CX16),
	SET(FXSAVE, FXSR),
	SET(FXSAVE64, FXSR),
	SET(XSAVE, XSAVE),
	SET(XSAVEOPT, XSAVEOPT),
	SET(XSAVEC, XSAVEC),
	SET(AES, AES),
	SET(PCLMULQDQ, PCLMUL),
	SET(RDRAND, RDRAND),
	SET(RDSEED, RDSEED),
	SET(RDTSCP, RDTSCP),
	SET(CLFSH, CLFLUSH),
	SET(CLFLUSHOPT, CLFLUSHOPT),
	SET(CLWB, CLWB),
	SET(MONITOR, MONITOR),
	SET(INVPCID, INVPCID),
	SET(SMAP, SMAP),
	SET(RDWRFSGS, FSGSBASE),
	SET(MOVBE, MOVBE),
	SET(LZCNT, ABM),
	SET(BMI1, BMI1),
	SET(BMI2, BMI2),
	SET(AVX, AVX),
	SET(AVX2, AVX2),
	SET(AVX2GATHER, AVX2),
	SET(AVXAES, AVX),
	SET(FMA, FMA),
	SET(F16C, F16C),
	SET(ADOX_ADCX, ADX),
	SET(RDPID, RDPID),
};

struct test_case {
	u8 bytes[BUFFER];
	enum insn_size code_size;
	u64 features;
	ZydisDecodedInstruction zydis;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	bool zydis_ok;
	enum decode_result result;
	struct insn insn;
	const char *failure; /* what differs, or NULL */
};

/* ---- the differences that there may be -------------------------------------------------------------- */

struct difference {
	const char *reason;
	bool (*applies)(const struct test_case *c);
	unsigned long count;
};

#include "decode_differences.h"

/* ---- cases ------------------------------------------------------------------------------------------ */

static u64 random_state;

static u64 random_next(void)
{
	u64 z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static unsigned random_below(unsigned limit)
{
	return (unsigned)(random_next() % limit);
}

static void random_fill(u8 *bytes)
{
	for (unsigned i = 0; i < BUFFER; i += 8) {
		u64 value = random_next();
		memcpy(bytes + i, &value, 8);
	}
}

static unsigned put_prefixes(u8 *bytes, const struct opcode_row *row, bool is_64_bit)
{
	static const u8 prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x66, 0x67, 0x67,
		0xf0, 0xf2, 0xf3, 0x40, 0x48};
	static const u8 mandatory[] = {0, 0x66, 0xf3, 0xf2};
	unsigned at = 0;

	for (unsigned n = random_below(3) ? random_below(2) : random_below(4); n; n--)
		bytes[at++] = prefixes[random_below(sizeof(prefixes))];
	if (row->prefixes != 0xf) {
		unsigned pick = random_below(4);
		while (!(row->prefixes >> pick & 1))
			pick = random_below(4);
		if (pick)
			bytes[at++] = mandatory[pick];
	}
	if (is_64_bit && random_below(2))
		bytes[at++] = (u8)(0x40 + random_below(16));
	return at;
}

static unsigned put_vex(u8 *bytes, unsigned at, const struct opcode_row *row, bool is_64_bit)
{
	unsigned w = row->attributes & ROW_REXW ? 1
		: row->attributes & ROW_NOREXW	? 0
						: random_below(2);
	unsigned l = row->attributes & ROW_L1 ? 1 : row->attributes & ROW_L0 ? 0 : random_below(2);
	unsigned pp = row->prefixes == ROW_PREFIX_NONE ? 0
		: row->prefixes == ROW_PREFIX_66       ? 1
		: row->prefixes == ROW_PREFIX_F3       ? 2
						       : 3;
	unsigned vvvv = random_below(2) ? 15 : random_below(16);
	unsigned rxb = is_64_bit ? random_below(8) : 6 + random_below(2);

	if (row->map == OPCODE_MAP_VEX + 1 && random_below(2)) {
		bytes[at++] = 0xc5;
		bytes[at++] =
			(u8)((rxb & 4) << 5 | (is_64_bit ? vvvv : vvvv | 8) << 3 | l << 2 | pp);
		return at;
	}
	bytes[at++] = 0xc4;
	bytes[at++] = (u8)(rxb << 5 | (row->map - OPCODE_MAP_VEX));
	bytes[at++] = (u8)(w << 7 | vvvv << 3 | l << 2 | pp);
	return at;
}

/* Segments and address sizes, and seldom what must not be before VEX. */
static unsigned put_vex_prefixes(u8 *bytes)
{
	static const u8 prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67};
	static const u8 wrong[] = {0x66, 0xf0, 0xf2, 0xf3, 0x40, 0x48};
	unsigned at = 0;

	for (unsigned n = random_below(3) ? 0 : random_below(4); n; n--)
		bytes[at++] = prefixes[random_below(sizeof(prefixes))];
	if (!random_below(20))
		bytes[at++] = wrong[random_below(sizeof(wrong))];
	return at;
}

/* An instruction of a random row, mostly valid; bytes holds random ones already. */
static void put_row(u8 *bytes, bool is_64_bit)
{
	const struct opcode_row *row = &opcode_rows[random_below(opcode_row_count)];
	bool is_vex = row->map > OPCODE_MAP_VEX;
	unsigned at = is_vex ? put_vex_prefixes(bytes) : put_prefixes(bytes, row, is_64_bit);

	if (is_vex)
		at = put_vex(bytes, at, row, is_64_bit);
	else if (row->map)
		bytes[at++] = 0x0f;
	if (!is_vex && row->map > 1)
		bytes[at++] = row->map == 2 ? 0x38 : 0x3a;
	bytes[at++] = (u8)(row->opcode + random_below(row->opcodes));
	if (!row->has_modrm)
		return;
	bytes[at] = (u8)((bytes[at] & ~row->modrm_mask) | row->modrm_value);
	if (row->attributes & ROW_VSIB)
		bytes[at] = (u8)((bytes[at] & ~7) | 4);
	if (row->forms == 1)
		bytes[at] |= 0xc0;
	else if (row->forms == 2 && bytes[at] >= 0xc0)
		bytes[at] &= 0x3f;
}

static void make_case(struct test_case *c, u64 seed, u64 number)
{
	unsigned kind;

	random_state = seed * 0x2545f4914f6cdd1d + number;
	random_next();
	c->code_size = (enum insn_size)(SIZE_16 + random_below(3));
	c->features = random_below(2) ? v2_features : ALL_FEATURES;
	random_fill(c->bytes);
	kind = random_below(8);
	if (kind)
		put_row(c->bytes, c->code_size == SIZE_64);
	if (kind >= 5)
		for (unsigned flips = 1 + random_below(kind - 4); flips; flips--)
			c->bytes[random_below(6)] ^= (u8)(1 << random_below(8));
}

/* Rows that were decoded. One that never is stands behind another that fits first. */
static bool row_seen[0x10000];

static unsigned count_unseen_rows(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < opcode_row_count; i++) {
		if (row_seen[i])
			continue;
		count++;
		printf("row %u never decoded: %s (%s)\n", i, opcode_rows[i].mnemonic,
			opcode_rows[i].semantics);
	}
	return count;
}

static ZydisDecoder decoders[3][2];

static void make_decoders(void)
{
	static const ZydisMachineMode modes[] = {ZYDIS_MACHINE_MODE_LEGACY_16,
		ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_MACHINE_MODE_LONG_64};
	static const ZydisStackWidth widths[] = {
		ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32, ZYDIS_STACK_WIDTH_64};

	for (unsigned i = 0; i < 6; i++) {
		ZydisDecoder *decoder = &decoders[i / 2][i % 2];
		ZydisDecoderInit(decoder, modes[i / 2], widths[i / 2]);
		ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_AMD_BRANCHES, true);
		ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_LZCNT, i % 2);
		ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_TZCNT, i % 2);
		ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_MPX, false);
		ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_CET, false);
		ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_CLDEMOTE, false);
		ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_WBNOINVD, false);
	}
}

static void run_case(struct test_case *c)
{
	const ZydisDecoder *decoder =
		&decoders[c->code_size - SIZE_16][c->features == ALL_FEATURES];

	c->zydis_ok = ZYAN_SUCCESS(
		ZydisDecoderDecodeFull(decoder, c->bytes, BUFFER, &c->zydis, c->operands));
	c->result = decode(c->bytes, BUFFER, c->code_size, c->features, &c->insn);
	if (c->result == DECODE_OK)
		row_seen[c->insn.row] = true;
}

/* ---- comparison ------------------------------------------------------------------------------------- */

/* Zydis' answer as our model would give it. */
static bool should_be_valid(const struct test_case *c)
{
	if (!c->zydis_ok ||
		(c->zydis.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
			c->zydis.encoding != ZYDIS_INSTRUCTION_ENCODING_VEX))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(known_sets); i++)
		if (known_sets[i].set == c->zydis.meta.isa_set)
			return (known_sets[i].features & ~c->features) == 0;
	return false;
}

static unsigned location_of(ZydisRegister reg)
{
	if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
		return LOCATION_RIP;
	if (reg == ZYDIS_REGISTER_NONE)
		return LOCATION_ZERO;
	return (unsigned)ZydisRegisterGetId(reg) * 8;
}

/* The general register operand's location, or -1 for other registers. */
static int general_location(ZydisRegister reg)
{
	if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
		return (reg - ZYDIS_REGISTER_AH) * 8 + 1;
	if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B)
		return (reg - ZYDIS_REGISTER_SPL + 4) * 8;
	if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_BL)
		return (reg - ZYDIS_REGISTER_AL) * 8;
	if (reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_R15)
		return ZydisRegisterGetId(reg) * 8;
	return -1;
}

static bool memory_is_equal(const struct test_case *c, const ZydisDecodedOperand *operand)
{
	const ZydisDecodedOperandMem *mem = &operand->mem;
	const struct insn *insn = &c->insn;
	unsigned segment = (unsigned)ZydisRegisterGetId(mem->segment);

	if (!(insn->flags & INSN_MEMORY))
		return false;
	if (mem->type == ZYDIS_MEMOP_TYPE_VSIB) {
		if (insn->index != LOCATION_ZERO || ZydisRegisterGetId(mem->index) != insn->rm)
			return false;
	} else if (location_of(mem->index) != insn->index) {
		return false;
	}
	if (location_of(mem->base) != insn->base)
		return false;
	if (mem->index != ZYDIS_REGISTER_NONE && mem->scale != 1 << insn->scale)
		return false;
	if (opcode_rows[insn->row].operands[0].kind == OPERAND_O ||
		opcode_rows[insn->row].operands[1].kind == OPERAND_O) {
		if ((u64)mem->disp.value != insn->immediate &&
			((u64)mem->disp.value ^ insn->immediate) &
				bits_mask(c->zydis.address_width))
			return false;
	} else if (mem->disp.value != insn->displacement) {
		return false;
	}
	if (c->code_size == SIZE_64 && segment < SEGMENT_FS)
		segment = SEGMENT_NONE;
	return segment == insn->segment || mem->type == ZYDIS_MEMOP_TYPE_AGEN;
}

static bool register_is_equal(const struct test_case *c, const ZydisDecodedOperand *operand)
{
	int location = general_location(operand->reg.value);

	switch (operand->encoding) {
	case ZYDIS_OPERAND_ENCODING_MODRM_REG:
		if (location < 0)
			location = ZydisRegisterGetId(operand->reg.value);
		return location == c->insn.reg;
	case ZYDIS_OPERAND_ENCODING_MODRM_RM:
		if (location < 0)
			location = ZydisRegisterGetId(operand->reg.value);
		return location == c->insn.rm;
	case ZYDIS_OPERAND_ENCODING_NDSNDD:
		return ZydisRegisterGetId(operand->reg.value) == c->insn.vvvv;
	case ZYDIS_OPERAND_ENCODING_IS4:
		return ZydisRegisterGetId(operand->reg.value) ==
			(i8)(c->insn.immediate >> 4 & (c->code_size == SIZE_64 ? 15 : 7));
	case ZYDIS_OPERAND_ENCODING_OPCODE:
		return location < 0 || location == c->insn.reg;
	default:
		return true;
	}
}

static bool immediate_is_equal(const struct test_case *c, const ZydisDecodedOperand *operand)
{
	u64 mask = bits_mask(operand->size ? operand->size : 64);
	u64 value = operand->imm.value.u, ours = c->insn.immediate;

	if (operand->type == ZYDIS_OPERAND_TYPE_POINTER)
		return ours == ((u64)operand->ptr.segment << 32 | operand->ptr.offset);
	if (operand->encoding == ZYDIS_OPERAND_ENCODING_UIMM8 &&
		c->zydis.mnemonic == ZYDIS_MNEMONIC_ENTER)
		ours >>= 16;
	return !((value ^ ours) & mask);
}

/* Operand sizes, through the rows' view of them. */
static bool sizes_are_equal(const struct test_case *c)
{
	const struct opcode_row *row = &opcode_rows[c->insn.row];
	unsigned count = MIN(row->operand_count, c->zydis.operand_count_visible);

	for (unsigned i = 0; i < count; i++) {
		const struct row_operand *operand = &row->operands[i];
		bool is_memory = c->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY;
		unsigned bytes = row_operand_bytes(&c->insn, operand, is_memory);
		if (c->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
			general_location(c->operands[i].reg.value) < 0)
			continue;
		if (!is_memory && c->operands[i].type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		if (bytes && operand->access && bytes * 8 != c->operands[i].size)
			return false;
	}
	return true;
}

/* What differs between two valid answers, or NULL. */
static const char *content_differs(const struct test_case *c)
{
	if (c->zydis.length != c->insn.length)
		return "length";
	if (!strcmp(opcode_rows[c->insn.row].semantics, "nop"))
		return NULL; /* how many operands a NOP has is a matter of taste */
	for (unsigned i = 0; i < c->zydis.operand_count_visible; i++) {
		const ZydisDecodedOperand *operand = &c->operands[i];
		if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
			operand->encoding != ZYDIS_OPERAND_ENCODING_NONE &&
			!memory_is_equal(c, operand))
			return "memory operand";
		if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER && !register_is_equal(c, operand))
			return "register operand";
		if ((operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ||
			    operand->type == ZYDIS_OPERAND_TYPE_POINTER) &&
			!immediate_is_equal(c, operand))
			return "immediate";
	}
	return sizes_are_equal(c) ? NULL : "operand size";
}

/* Every shorter piece of a valid instruction must be called incomplete. */
static bool pieces_are_incomplete(const struct test_case *c)
{
	struct insn insn;

	for (unsigned available = 0; available < c->insn.length; available++)
		if (decode(c->bytes, available, c->code_size, c->features, &insn) !=
			DECODE_INCOMPLETE)
			return false;
	return true;
}

static const char *find_failure(const struct test_case *c)
{
	bool expected = should_be_valid(c);

	if (c->result == DECODE_INCOMPLETE)
		return "incomplete though all bytes are there";
	if (c->insn.length < 1 || c->insn.length > 15)
		return "length out of range";
	if (expected != (c->result == DECODE_OK))
		return expected ? "invalid to us only" : "valid to us only";
	if (!expected)
		return NULL;
	if (!pieces_are_incomplete(c))
		return "a piece is not incomplete";
	return content_differs(c);
}

static bool is_listed(const struct test_case *c)
{
	for (unsigned i = 0; i < ARRAY_SIZE(differences); i++)
		if (differences[i].applies(c)) {
			differences[i].count++;
			return true;
		}
	return false;
}

static void tell(const struct test_case *c, u64 seed, u64 number, const char *what)
{
	static const char *const results[] = {"valid", "invalid", "incomplete", "too long"};
	char ours[128];
	struct text text;
	ZydisFormatter formatter;
	char theirs[128] = "";

	text_init(&text, ours, sizeof(ours));
	if (c->result == DECODE_OK)
		insn_print(&text, &c->insn, 0);
	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
	if (c->zydis_ok)
		ZydisFormatterFormatInstruction(&formatter, &c->zydis, c->operands,
			c->zydis.operand_count_visible, theirs, sizeof(theirs), 0, NULL);
	printf("decode_zydis --seed %llu --only %llu: %s\n  %u-bit, %s features:",
		(unsigned long long)seed, (unsigned long long)number, what, 8u << c->code_size,
		c->features == ALL_FEATURES ? "all" : "v2");
	for (unsigned i = 0; i < 15; i++)
		printf(" %02x", c->bytes[i]);
	printf("\n  ours: %s, %u bytes: %s\n  zydis: ", results[c->result], c->insn.length,
		c->result == DECODE_OK ? ours : "");
	if (c->zydis_ok)
		printf("%u bytes: %s (%s)\n", c->zydis.length, theirs,
			ZydisISASetGetString(c->zydis.meta.isa_set));
	else
		printf("invalid\n");
}

static u64 number_after(int argc, char **argv, const char *option, u64 otherwise)
{
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], option))
			return strtoull(argv[i + 1], NULL, 0);
	return otherwise;
}

int main(int argc, char **argv)
{
	u64 cases = number_after(argc, argv, "--cases", 300000);
	u64 seed = number_after(argc, argv, "--seed", 1);
	u64 only = number_after(argc, argv, "--only", ~(u64)0);
	u64 failures = 0, valid = 0;
	static struct test_case c;

	make_decoders();
	for (u64 i = only != ~(u64)0 ? only : 0; i < (only != ~(u64)0 ? only + 1 : cases); i++) {
		make_case(&c, seed, i);
		run_case(&c);
		valid += c.result == DECODE_OK;
		c.failure = find_failure(&c);
		if (c.failure && is_listed(&c) && only == ~(u64)0)
			continue;
		if (c.failure && failures++ < 20)
			tell(&c, seed, i, c.failure);
		else if (only != ~(u64)0)
			tell(&c, seed, i, "no difference");
	}
	printf("%llu cases, %llu of them valid instructions\n", (unsigned long long)cases,
		(unsigned long long)valid);
	for (unsigned i = 0; i < ARRAY_SIZE(differences); i++)
		printf("%8lu  %s\n", differences[i].count, differences[i].reason);
	if (cases >= 300000 && only == ~(u64)0)
		failures += count_unseen_rows();
	if (failures)
		printf("%llu differences without a reason\n", (unsigned long long)failures);
	printf("%d passed, %d failed\n", !failures, !!failures);
	return failures != 0;
}
