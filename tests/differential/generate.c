/* SPDX-License-Identifier: MIT */
/*
 * Makes a case: the row's bytes with random prefixes, operands and addressing, then registers and memory such that the
 * memory operand lies where it is interesting: within a page, across its end, where nothing is mapped.
 */
#include <string.h>
#include "differential.h"
#include "x86/decode/decode.h"
#include "x86/features.h"
#include "x86/flags.h"

#define CODE_START (CODE_LINEAR + 0x800)
#define ALL_FEATURES (~(u64)0)

struct generator {
	struct test_case *test;
	const struct opcode_row *row;
	struct random random;
	unsigned displacement_at; /* of 4 (2) bytes that may be changed; 0: none */
	bool address_16;
};

/* ---- what the row is ----------------------------------------------------------------------------- */

static bool semantics_begin(const struct opcode_row *row, const char *name)
{
	return !strncmp(row->semantics, name, strlen(name));
}

static bool row_has_kind(const struct opcode_row *row, enum operand_kind kind)
{
	for (unsigned i = 0; i < row->operand_count; i++)
		if (row->operands[i].kind == kind)
			return true;
	return false;
}

static bool row_uses_stack(const struct opcode_row *row)
{
	static const char *const names[] = {
		"push", "pop_", "popa", "popf", "call", "ret", "enter", "leave"};
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (semantics_begin(row, names[i]))
			return true;
	return false;
}

static bool row_is_near_branch(const struct opcode_row *row)
{
	static const char *const names[] = {"jmp_", "jcc", "jcxz", "loop", "call_", "ret"};
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (semantics_begin(row, names[i]))
			return true;
	return false;
}

static bool row_is_xsave(const struct opcode_row *row)
{
	return semantics_begin(row, "xsave") || semantics_begin(row, "xrstor");
}

/* Rows marked as no test for others that this one can do. */
static bool row_is_tested_here(const struct opcode_row *row)
{
	static const char *const names[] = {"xsave", "xrstor", "rsm"};
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (semantics_begin(row, names[i]))
			return true;
	return row->attributes & (ROW_CPL0 | ROW_IOPL | ROW_IO);
}

const char *row_untestable(const struct opcode_row *row)
{
	if (!native_has(row->feature))
		return "the host lacks the feature";
	if ((row->attributes & ROW_NOTEST) && !row_is_tested_here(row))
		return row->attributes & ROW_FAR
			? "changes the code segment: tests/guests"
			: "not for user mode, or its result is the machine's: tests/guests";
	if (row->feature == FEATURE_SVM || row->feature == FEATURE_MONITOR)
		return "user mode gets different faults by the host's configuration";

	return NULL;
}

/* ---- flags -------------------------------------------------------------------------------------- */

u32 rflags_of(u16 row_flags)
{
	static const struct {
		u16 flag;
		u32 rflags;
	} map[] = {{ROW_FLAG_O, RFLAGS_OF}, {ROW_FLAG_S, RFLAGS_SF}, {ROW_FLAG_Z, RFLAGS_ZF},
		{ROW_FLAG_A, RFLAGS_AF}, {ROW_FLAG_P, RFLAGS_PF}, {ROW_FLAG_C, RFLAGS_CF}};
	u32 result = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(map); i++)
		if (row_flags & map[i].flag)
			result |= map[i].rflags;
	return result;
}

/* ---- bytes --------------------------------------------------------------------------------------- */

static void emit(struct test_case *test, unsigned byte)
{
	if (test->length < 15)
		test->bytes[test->length++] = (u8)byte;
}

static bool size_follows_prefix(const struct generator *g)
{
	if (row_is_near_branch(g->row) && native_is_intel() && g->test->mode == SIZE_64)
		return false; /* Intel ignores 66 there, AMD doesn't */
	return g->row->size_rule != SIZE_RULE_NONE;
}

static bool is_vex(const struct opcode_row *row)
{
	return row->map > OPCODE_MAP_VEX;
}

static void emit_mandatory(struct generator *g)
{
	struct random *random = &g->random;
	u8 allowed = g->row->prefixes;
	if (allowed == 0xf) {
		if (size_follows_prefix(g) && random_chance(random, 25))
			emit(g->test, 0x66);
		if ((g->row->attributes & (ROW_REP | ROW_REPZ)) && random_chance(random, 75))
			emit(g->test, random_chance(random, 50) ? 0xf3 : 0xf2);
		return;
	}
	unsigned pick;
	do
		pick = (unsigned)random_below(random, 4);
	while (!(allowed & (1 << pick)));
	if (pick >= 2 && g->row->size_rule != SIZE_RULE_NONE && random_chance(random, 20))
		emit(g->test, 0x66);
	static const u8 prefixes[] = {0, 0x66, 0xf3, 0xf2};
	if (pick)
		emit(g->test, prefixes[pick]);
}

static void emit_prefixes(struct generator *g, bool memory)
{
	struct random *random = &g->random;
	bool wide = g->test->mode == SIZE_64;
	if (!is_vex(g->row))
		emit_mandatory(g);
	bool other_address_size = random_chance(random, wide ? 8 : 20);
	if (other_address_size)
		emit(g->test, 0x67);
	g->address_16 = !wide && (g->test->mode == SIZE_16) != other_address_size;
	if (random_chance(random, wide ? 8 : 20)) {
		static const u8 segments[] = {0x65, 0x64, 0x2e, 0x36, 0x3e, 0x26};
		emit(g->test, segments[random_below(random, 6)]);
	}
	if (memory && (g->row->attributes & ROW_LOCK) && random_chance(random, 25))
		emit(g->test, 0xf0);
	if (!wide || is_vex(g->row))
		return;
	u8 rex = (u8)(0x40 | random_below(random, 16));
	if (g->row->attributes & ROW_REXW)
		rex |= 8;
	if (g->row->attributes & ROW_NOREXW)
		rex &= (u8)~8;
	if (g->row->attributes & ROW_NOREXB)
		rex &= (u8)~1;
	if ((g->row->attributes & ROW_REXW) || random_chance(random, 60))
		emit(g->test, rex);
}

static bool pick_bit(struct generator *g, u32 must_be_set, u32 must_be_clear)
{
	if (g->row->attributes & (must_be_set | must_be_clear))
		return g->row->attributes & must_be_set;
	return random_chance(&g->random, 50);
}

/* C4 or C5 up to the opcode; outside 64-bit code the bits that would make it LES or LDS are what they must be. */
static void emit_vex(struct generator *g)
{
	static const u8 pp[] = {[ROW_PREFIX_NONE] = 0,
		[ROW_PREFIX_66] = 1,
		[ROW_PREFIX_F3] = 2,
		[ROW_PREFIX_F2] = 3};
	bool wide = g->test->mode == SIZE_64;
	bool has_vvvv = row_has_kind(g->row, OPERAND_H) || row_has_kind(g->row, OPERAND_K);
	unsigned rxb = (unsigned)random_below(&g->random, 8), w = pick_bit(g, ROW_REXW, ROW_NOREXW);
	unsigned vvvv = has_vvvv ? (unsigned)random_below(&g->random, 16) : 0;
	if (!wide && !has_vvvv)
		vvvv = (unsigned)random_below(&g->random, 2) << 3;
	unsigned second = pick_bit(g, ROW_L1, ROW_L0) << 2 | pp[g->row->prefixes];
	if (!wide)
		rxb &= 1;
	if (g->row->map == OPCODE_MAP_VEX + 1 && !w && !(rxb & 3) &&
		random_chance(&g->random, 70)) {
		emit(g->test, 0xc5);
		emit(g->test, (~rxb & 4) << 5 | (~(wide ? vvvv : vvvv & 7) & 15) << 3 | second);
		return;
	}
	emit(g->test, 0xc4);
	emit(g->test, (~rxb & 7) << 5 | (g->row->map - OPCODE_MAP_VEX));
	emit(g->test, w << 7 | (~vvvv & 15) << 3 | second);
}

static void emit_modrm(struct generator *g, bool memory)
{
	struct random *random = &g->random;
	struct test_case *test = g->test;
	u8 modrm = (u8)random_next(random);
	modrm = memory ? (u8)((modrm & 0x3f) | random_below(random, 3) << 6) : modrm | 0xc0;
	modrm = (u8)((modrm & ~g->row->modrm_mask) | g->row->modrm_value);
	if (g->row->attributes & ROW_VSIB)
		modrm = (modrm & ~7) | 4;
	emit(test, modrm);
	u8 mod = modrm >> 6, rm = modrm & 7, sib = 0;
	if (mod == 3)
		return;
	unsigned displacement = mod == 1 ? 1 : 0;
	if (g->address_16) {
		if (mod == 2 || (mod == 0 && rm == 6))
			displacement = 2;
	} else {
		if (rm == 4) {
			sib = (u8)random_next(random);
			emit(test, sib);
		}
		if (mod == 2 || (mod == 0 && (rm == 5 || (rm == 4 && (sib & 7) == 5))))
			displacement = 4;
	}
	g->displacement_at = displacement > 1 ? test->length : 0;
	for (unsigned i = 0; i < displacement; i++)
		emit(test, (unsigned)random_next(random) & 0xff);
}

/* The bytes after ModRM: more than any instruction takes; decoding cuts them. */
static void emit_immediate(struct generator *g)
{
	u64 value = random_integer(&g->random);
	if (row_has_kind(g->row, OPERAND_J))
		value = (u64)((i64)random_below(&g->random, 0x100000) - 0x80000);
	if (row_has_kind(g->row, OPERAND_I) && semantics_begin(g->row, "enter"))
		value = random_below(&g->random, 0x800) | random_below(&g->random, 256) << 16;
	for (unsigned i = 0; i < 8; i++)
		emit(g->test, (value >> (8 * i)) & 0xff);
}

static bool decode_bytes(struct generator *g, unsigned available)
{
	struct test_case *test = g->test;
	if (decode(test->bytes, available, test->mode, ALL_FEATURES, &test->insn) != DECODE_OK)
		return false;
	test->length = test->insn.length;
	return test->insn.row == test->row;
}

/* It would go on with other code than the traps. */
static bool branches_into_itself(const struct generator *g)
{
	const struct insn *insn = &g->test->insn;
	return row_has_kind(g->row, OPERAND_J) && -insn->immediate - 1 < insn->length;
}

static bool generate_bytes(struct generator *g)
{
	struct test_case *test = g->test;
	const struct opcode_row *row = g->row;
	static const u8 maps[4][3] = {{0}, {0x0f}, {0x0f, 0x38}, {0x0f, 0x3a}};
	bool memory = row->has_modrm && (row->forms & 2) &&
		(!(row->forms & 1) || random_chance(&g->random, 55));
	emit_prefixes(g, memory);
	if (is_vex(row))
		emit_vex(g);
	for (unsigned i = 0; i < 2 && !is_vex(row) && maps[row->map][i]; i++)
		emit(test, maps[row->map][i]);
	emit(test, row->opcode + (unsigned)random_below(&g->random, row->opcodes));
	if (row->has_modrm)
		emit_modrm(g, memory);
	emit_immediate(g);
	return decode_bytes(g, test->length) && !branches_into_itself(g);
}

/* ---- places -------------------------------------------------------------------------------------- */

static u64 pick_place(struct generator *g)
{
	struct random *random = &g->random;
	unsigned choice = (unsigned)random_below(random, 100);
	bool wide = g->test->mode == SIZE_64 && g->test->insn.address_size == SIZE_64;
	if (choice < 40)
		return DATA_LINEAR + (random_below(random, 0x1c00) & ~(u64)15);
	if (choice < 62)
		return DATA_LINEAR + random_below(random, 0x1c00);
	if (choice < 74)
		return DATA_LINEAR + 0x1000 - random_below(random, 40);
	if (choice < 84)
		return DATA_LINEAR + 0x2000 - random_below(random, 40);
	if (choice < 87)
		return DATA_LINEAR + 0x2000 + random_below(random, 0x1000);
	if (choice < 92)
		return DATA_LINEAR + DATA_READ_ONLY + random_below(random, 0xf00);
	if (choice < 94)
		return DATA_LINEAR + DATA_READ_ONLY + 0x1000 - random_below(random, 20);
	if (choice < 96)
		return DATA_LINEAR + DATA_READ_ONLY - random_below(random, 20);
	if (choice < 97 && wide)
		return 0x0000800000000000 + random_below(random, BIT(40));
	if (choice < 98 && wide)
		return 0xffff7fffffffff00 - random_below(random, BIT(40));
	return DATA_LINEAR + random_below(random, 64);
}

static u64 pick_code(struct generator *g)
{
	u64 choice = random_below(&g->random, 100);
	if (choice < 75)
		return CODE_START + 16 + random_below(&g->random, 0x700);
	if (choice < 85 && g->test->mode == SIZE_64)
		return 0x8000000000000000 | random_below(&g->random, BIT(62));
	return CODE_LINEAR + 0x100000 + random_below(&g->random, BIT(20));
}

static u64 selector_base(u16 selector)
{
	return selector & 4 ? ldt_segments[selector >> 3].base : 0;
}

/* Of the memory operand's segment. */
static u64 segment_base(const struct generator *g)
{
	const struct test_case *test = g->test;
	bool wide = test->mode == SIZE_64;
	switch (test->insn.segment) {
	case SEGMENT_FS:
		return wide ? native_fs_base() : 0;
	case SEGMENT_GS:
		return wide ? native_gs_base() : 0;
	case SEGMENT_DS:
		return wide ? 0 : selector_base(test->ds);
	case SEGMENT_ES:
		return wide ? 0 : selector_base(test->es);
	case SEGMENT_SS:
		return wide ? 0 : selector_base(test->ss);
	default:
		return 0;
	}
}

/* A register as an address: beyond `size` anything may be in it. */
static void set_pointer_of(struct generator *g, unsigned reg, u64 value, enum insn_size size)
{
	u64 mask = size == SIZE_64 ? ~(u64)0 : size == SIZE_32 ? 0xffffffff : 0xffff;
	value = (value & mask) | (random_next(&g->random) & ~mask);
	g->test->before.regs[reg] = g->test->mode == SIZE_64 ? value : (u32)value;
}

static void set_pointer(struct generator *g, unsigned reg, u64 value)
{
	set_pointer_of(g, reg, value, g->test->insn.address_size);
}

static void set_stack_pointer(struct generator *g, unsigned reg)
{
	struct test_case *test = g->test;
	bool wide = test->mode == SIZE_64;
	enum insn_size size = wide			? SIZE_64
		: test->ss == LDT_SELECTOR(LDT_DATA_16) ? SIZE_16
							: SIZE_32;
	set_pointer_of(g, reg, pick_place(g) - (wide ? 0 : selector_base(test->ss)), size);
}

static bool is_general(unsigned location)
{
	return location < 16 * 8;
}

/* ---- memory operands ----------------------------------------------------------------------------- */

static bool patch_displacement(struct generator *g, u64 value)
{
	struct test_case *test = g->test;
	i32 narrow = (i32)value;
	if (!g->displacement_at ||
		((u64)(i64)narrow != value && test->insn.address_size == SIZE_64))
		return false;
	memcpy(test->bytes + g->displacement_at, &narrow, g->address_16 ? 2 : 4);
	return decode_bytes(g, test->length);
}

/* Makes base, or else the displacement, such that the operand is at `place`. */
static bool solve_modrm(struct generator *g, u64 place)
{
	struct test_case *test = g->test;
	struct insn *insn = &test->insn;
	u64 *regs = test->before.regs;
	u64 offset = place - segment_base(g);
	if (is_general(insn->base)) {
		unsigned base = insn->base / 8;
		if (insn->base == insn->index)
			return false;
		u64 index = is_general(insn->index) ? regs[insn->index / 8] << insn->scale : 0;
		set_pointer(g, base, offset - index - (u64)(i64)insn->displacement);
		return true;
	}
	u64 sum = insn->base == LOCATION_RIP ? test->before.rip + test->length : 0;
	if (is_general(insn->index)) {
		regs[insn->index / 8] = random_below(&g->random, 16);
		sum += regs[insn->index / 8] << insn->scale;
	}
	return patch_displacement(g, offset - sum);
}

static bool solved(const struct generator *g, u64 place)
{
	const struct insn *insn = &g->test->insn;
	const u64 *regs = g->test->before.regs;
	u64 sum = (u64)(i64)insn->displacement;
	if (insn->base == LOCATION_RIP)
		sum += g->test->before.rip + g->test->length;
	else if (is_general(insn->base))
		sum += regs[insn->base / 8];
	if (is_general(insn->index))
		sum += regs[insn->index / 8] << insn->scale;
	if (insn->address_size != SIZE_64)
		sum = insn->address_size == SIZE_32 ? (u32)sum : (u16)sum;
	sum += segment_base(g);
	return place == (g->test->mode == SIZE_64 ? sum : (u32)sum);
}

static bool solve_offset(struct generator *g, u64 place)
{
	struct test_case *test = g->test;
	unsigned bytes = 1u << test->insn.address_size;
	u64 offset = place - segment_base(g);
	if (bytes < 8 && offset & ~bits_mask(8 * bytes))
		return false;
	memcpy(test->bytes + test->length - bytes, &offset, bytes);
	return decode_bytes(g, test->length);
}

static void set_strings(struct generator *g)
{
	struct random *random = &g->random;
	u64 source = pick_place(g);
	u64 destination =
		random_chance(random, 40) ? source + random_below(random, 64) - 32 : pick_place(g);
	u64 count = random_chance(random, 70) ? random_below(random, 40)
		: random_chance(random, 50)   ? random_below(random, 5000)
					      : random_integer(random);
	set_pointer(g, RSI, source - segment_base(g));
	set_pointer(
		g, RDI, destination - (g->test->mode == SIZE_64 ? 0 : selector_base(g->test->es)));
	set_pointer(g, RCX, count);
	if (random_chance(random, 40))
		g->test->before.rflags |= RFLAGS_DF;
}

/* A bit number in a register moves the operand: not farther than the pages around. */
static bool limit_bit_offset(struct generator *g)
{
	const struct insn *insn = &g->test->insn;
	if (insn->reg == insn->base || insn->reg == insn->index)
		return false;
	u64 offset = random_below(&g->random, 2000) - 1000;
	g->test->before.regs[insn->reg / 8] = g->test->mode == SIZE_64 ? offset : (u32)offset;
	return true;
}

static bool uses_register(const struct generator *g, unsigned name)
{
	return g->test->insn.base == name * 8 || g->test->insn.index == name * 8;
}

/* A gather's indexes: near each other mostly, so that some of the elements do not fault. */
static void set_index_vector(struct generator *g)
{
	struct state *state = &g->test->before;
	unsigned bytes = g->test->insn.opcode & 1 ? 8 : 4, number = g->test->insn.rm;
	u8 vector[32];

	for (unsigned i = 0; i < sizeof(vector); i += bytes) {
		u64 value = random_below(&g->random, 64) - 32;
		if (random_chance(&g->random, 5))
			value = random_next(&g->random) & 0x1fff;
		memcpy(vector + i, &value, bytes);
	}
	memcpy(state->fpu + 160 + 16 * number, vector, 16);
	memcpy(state->ymm_high[number], vector + 16, 16);
}

static bool place_operands(struct generator *g, u64 *place)
{
	struct test_case *test = g->test;
	const struct opcode_row *row = g->row;
	*place = pick_place(g);
	if (row_is_xsave(row) && random_chance(&g->random, 80))
		*place &= ~(u64)63;
	if (row_has_kind(row, OPERAND_X) || row_has_kind(row, OPERAND_Y)) {
		set_strings(g);
		return true;
	}
	if (row_has_kind(row, OPERAND_O))
		return solve_offset(g, *place);
	if (row_has_kind(row, OPERAND_B)) {
		set_pointer(g, RBX, *place - segment_base(g) - (u8)test->before.regs[RAX]);
		return true;
	}
	if (strstr(row->semantics, "maskmov"))
		set_pointer(g, RDI, *place - segment_base(g));
	if (!row->has_modrm || !(test->insn.flags & INSN_MEMORY))
		return true;
	if (test->insn.segment == SEGMENT_FS && test->insn.address_size == SIZE_32)
		return false;
	/* The component mask is not an address. */
	if (row_is_xsave(row) && (uses_register(g, RAX) || uses_register(g, RDX)))
		return false;
	if (row->attributes & ROW_VSIB)
		set_index_vector(g);
	bool bits = semantics_begin(row, "bt") && row_has_kind(row, OPERAND_G);
	if (bits && !limit_bit_offset(g))
		return false;
	return solve_modrm(g, *place) && solved(g, *place);
}

/* ---- registers ----------------------------------------------------------------------------------- */

static void set_registers(struct generator *g)
{
	struct state *state = &g->test->before;
	for (unsigned i = 0; i < 16; i++) {
		state->regs[i] = random_integer(&g->random);
		if (g->test->mode != SIZE_64)
			state->regs[i] = i < 8 ? (u32)state->regs[i] : 0;
	}
	state->rip = CODE_START;
	state->rflags = 0x202 | (random_next(&g->random) & RFLAGS_ARITHMETIC);
	random_fpu(&g->random, state->fpu);
	for (unsigned i = 0; i < 16 && native_has_avx(); i++)
		random_lanes(&g->random, state->ymm_high[i]);
}

/* Dividends whose quotient may fit. */
static void set_dividend(struct generator *g)
{
	u64 *regs = g->test->before.regs;
	if (random_chance(&g->random, 30))
		return;
	regs[RDX] = random_chance(&g->random, 40)
		? (u64)((i64)regs[RAX] >> 63)
		: random_below(&g->random, random_chance(&g->random, 50) ? 2 : 1000);
	if (g->test->insn.operand_size != SIZE_64 && random_chance(&g->random, 50))
		regs[RDX] = (u64)((i64)(regs[RAX] << 32) >> 63);
	if (g->test->insn.operand_size == SIZE_8)
		regs[RAX] = random_chance(&g->random, 50) ? (u64)(i64)(i8)random_next(&g->random)
							  : random_below(&g->random, 2000);
	if (g->test->mode != SIZE_64) {
		regs[RDX] = (u32)regs[RDX];
		regs[RAX] = (u32)regs[RAX];
	}
}

static void patch(struct test_case *test, u64 linear, u64 value, unsigned bytes)
{
	test->patches[test->patch_count++] = (struct data_patch){linear, value, bytes};
}

/* False: the target would come from the read-only page, and be anything. */
static bool set_branch_target(struct generator *g, u64 place)
{
	struct test_case *test = g->test;
	u64 target = pick_code(g);
	unsigned bytes = 1u << test->insn.operand_size;
	if (semantics_begin(g->row, "ret")) {
		place = test->before.regs[RSP];
		if (test->ss == LDT_SELECTOR(LDT_DATA_16))
			place = (u16)place;
		if (test->mode != SIZE_64)
			place = (u32)(place + selector_base(test->ss));
	} else if (!row_has_kind(g->row, OPERAND_E)) {
		return true;
	} else if (!(test->insn.flags & INSN_MEMORY)) {
		test->before.regs[test->insn.rm / 8] = target;
		return test->insn.rm != RSP * 8; /* CALL would push among the code */
	}
	patch(test, place, target, bytes);
	return place - (DATA_LINEAR + DATA_READ_ONLY) > 4096 - bytes;
}

/* A push onto the code's pages, which are the processor's only. Operands with a base of RSP may bring that about. */
static bool stack_is_code(const struct generator *g)
{
	const struct test_case *test = g->test;
	u64 top = test->before.regs[RSP];
	if (test->mode != SIZE_64 && test->ss == LDT_SELECTOR(LDT_DATA_16))
		top = (u16)top;
	if (test->mode != SIZE_64)
		top = (u32)(top + selector_base(test->ss));
	return top - (CODE_LINEAR - 64) < 2 * 4096 + 128;
}

/* Of the state components, x87, SSE and AVX. */
static void set_components(struct generator *g)
{
	g->test->before.regs[RAX] = random_below(&g->random, native_has_avx() ? 8 : 4);
	g->test->before.regs[RDX] = 0;
}

/* An XSAVE area that can be loaded, mostly: a valid MXCSR and header. */
static void set_xsave_area(struct generator *g, u64 place)
{
	struct random *random = &g->random;
	patch(g->test, place + 24,
		random_next(random) & (random_chance(random, 90) ? 0xffbf : 0x1ffff), 4);
	patch(g->test, place + 512,
		random_below(random, native_has_avx() ? 8 : 4) |
			(random_chance(random, 5) ? BIT(62) : 0),
		8);
	for (unsigned i = 8; i < 64; i += 8)
		patch(g->test, place + 512 + i, random_chance(random, 1), 8);
}

static u16 pick_selector(struct generator *g, bool stack)
{
	unsigned entry = LDT_DATA + (unsigned)random_below(&g->random, LDT_COUNT - LDT_DATA);
	if ((stack && entry == LDT_READ_ONLY) || random_chance(&g->random, 40))
		return LINUX_DS;
	return LDT_SELECTOR(entry);
}

static void pick_mode(struct generator *g)
{
	static const u16 code[] = {[SIZE_16] = LDT_SELECTOR(LDT_CODE_16),
		[SIZE_32] = LINUX_CS32,
		[SIZE_64] = LINUX_CS64};
	struct test_case *test = g->test;
	unsigned choice = (unsigned)random_below(&g->random, 100);
	test->mode = choice < 60 ? SIZE_64 : choice < 82 ? SIZE_32 : SIZE_16;
	if (!(g->row->modes & BIT(test->mode - 1)))
		test->mode = g->row->modes & BIT(SIZE_64 - 1) ? SIZE_64
			: choice % 5 < 3		      ? SIZE_32
							      : SIZE_16;
	bool flat =
		test->mode == SIZE_64 || random_chance(&g->random, test->mode == SIZE_32 ? 50 : 5);
	test->cs = code[test->mode];
	test->ds = flat ? LINUX_DS : pick_selector(g, false);
	test->es = flat ? LINUX_DS : pick_selector(g, false);
	test->ss = flat ? LINUX_DS : pick_selector(g, true);
}

bool case_generate(struct test_case *test, u64 seed, unsigned row, unsigned number)
{
	struct generator g = {.test = test, .row = &opcode_rows[row]};
	u64 place;
	memset(test, 0, sizeof(*test));
	test->seed = seed;
	test->row = row;
	test->number = number;
	g.random.state = seed;
	g.random.state = random_next(&g.random) ^ row;
	g.random.state = random_next(&g.random) ^ number;
	random_next(&g.random);
	pick_mode(&g);
	set_registers(&g);
	if (!generate_bytes(&g))
		return false;
	if (semantics_begin(g.row, "div") || semantics_begin(g.row, "idiv"))
		set_dividend(&g);
	if (row_is_xsave(g.row))
		set_components(&g);
	if (row_uses_stack(g.row))
		set_stack_pointer(&g, RSP);
	if (semantics_begin(g.row, "enter") || semantics_begin(g.row, "leave"))
		set_stack_pointer(&g, RBP);
	if (!place_operands(&g, &place))
		return false;
	if (row_uses_stack(g.row) && stack_is_code(&g))
		return false;
	if (semantics_begin(g.row, "xrstor"))
		set_xsave_area(&g, place);
	if (row_is_near_branch(g.row))
		return set_branch_target(&g, place);
	return true;
}
