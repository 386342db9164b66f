/* SPDX-License-Identifier: MIT */
/*
 * Random programs of 2 to 30 instructions: straight lines of the rows' instructions with what keeps their operands where memory
 * is, arithmetic on few registers, jumps ahead, a loop, calls; some are mostly x87 and MMX. A program that differs is made smaller as long as it does.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tests/differential/engines.h"
#include "x86/decode/decode.h"
#include "x86/decode/undefined.h"
#include "x86/flags.h"
#include "x86/fpu.h"

#define ITEMS_MOST 64

struct item {
	u8 bytes[24];
	u8 length;
	u8 relative_bytes; /* of a branch, at its end; 0: none */
	u8 target;	   /* of a branch: number of an item, or how many there are */
	u8 rip_at,
		rip_rest; /* displacement relative to RIP; bytes from it to the instruction's end. 0: none */
	u64 rip_target;
	bool is_removed;
};

struct draft {
	u64 seed;
	unsigned number;
	struct random random;
	u8 pool[4]; /* registers of the arithmetic */
	struct item items[ITEMS_MOST];
	unsigned count;
	u64 at;
	bool has_loop;
	bool is_x87; /* mostly x87 and MMX instructions */
	bool is_32;  /* 32-bit code, flat */
	struct program program;
};

static u8 template[DATA_PAGES * 4096];

/* ---- items --------------------------------------------------------------------------------------- */

static struct item *item_add(struct draft *draft, const void *bytes, unsigned length)
{
	struct item *item = &draft->items[draft->count++];
	memset(item, 0, sizeof(*item));
	memcpy(item->bytes, bytes, length);
	item->length = (u8)length;
	return item;
}

static bool chance(struct draft *draft, unsigned percent)
{
	return random_chance(&draft->random, percent);
}

static u8 below(struct draft *draft, unsigned limit)
{
	return (u8)random_below(&draft->random, limit);
}

static u8 pooled(struct draft *draft)
{
	return draft->pool[below(draft, ARRAY_SIZE(draft->pool))];
}

static void add_move_immediate(struct draft *draft, unsigned reg, u64 value)
{
	u8 bytes[10] = {(u8)(0x48 | reg >> 3), (u8)(0xb8 | (reg & 7))};
	u8 bytes_32[5] = {(u8)(0xb8 | reg)};
	memcpy(bytes_32 + 1, &value, 4);
	if (draft->is_32) {
		item_add(draft, bytes_32, 5);
		return;
	}
	bool is_short = value == (u32)value && chance(draft, 50);
	if (is_short)
		bytes[0] &= 0xf7;
	memcpy(bytes + 2, &value, 8);
	item_add(draft, bytes, is_short ? 6 : 10);
}

/* ---- arithmetic on few registers ----------------------------------------------------------------- */

struct form {
	u8 map, opcode;
	u8 immediate; /* bytes; 9: by operand size */
	i8 group;     /* -1: any register, -2: any group */
	bool is_byte;
};

static const struct form forms[] = {
	{0, 0x00, 0, -1, true},
	{0, 0x01, 0, -1, false},
	{0, 0x02, 0, -1, true},
	{0, 0x03, 0, -1, false},
	{0, 0x11, 0, -1, false},
	{0, 0x1b, 0, -1, false},
	{0, 0x10, 0, -1, true},
	{0, 0x20, 0, -1, true},
	{0, 0x23, 0, -1, false},
	{0, 0x09, 0, -1, false},
	{0, 0x28, 0, -1, true},
	{0, 0x29, 0, -1, false},
	{0, 0x2a, 0, -1, true},
	{0, 0x2b, 0, -1, false},
	{0, 0x31, 0, -1, false},
	{0, 0x38, 0, -1, true},
	{0, 0x39, 0, -1, false},
	{0, 0x3a, 0, -1, true},
	{0, 0x3b, 0, -1, false},
	{0, 0x84, 0, -1, true},
	{0, 0x85, 0, -1, false},
	{0, 0x80, 1, -2, true},
	{0, 0x81, 9, -2, false},
	{0, 0x83, 1, -2, false},
	{0, 0x83, 1, -2, false},
	{0, 0x83, 1, 7, false},
	{0, 0x81, 9, 7, false},
	{0, 0xf6, 1, 0, true},
	{0, 0xf7, 9, 0, false},
	{0, 0xf6, 0, 3, true},
	{0, 0xf7, 0, 3, false},
	{0, 0xf7, 0, 2, false},
	{0, 0xfe, 0, 0, true},
	{0, 0xff, 0, 0, false},
	{0, 0xff, 0, 1, false},
	{0, 0x88, 0, -1, true},
	{0, 0x89, 0, -1, false},
	{0, 0x89, 0, -1, false},
	{0, 0x8b, 0, -1, false},
	{0, 0x87, 0, -1, false},
	{0, 0xd1, 0, 4, false},
	{0, 0xd3, 0, 5, false},
	{0, 0xd3, 0, 4, false},
	{0, 0xc1, 1, 7, false},
	{0, 0xd1, 0, 2, false},
	{1, 0xb6, 0, -1, false},
	{1, 0xbf, 0, -1, false},
};

/* The same with what reads flags: SETcc, CMOVcc. */
static struct form form_pick(struct draft *draft)
{
	unsigned choice = below(draft, 100);
	if (choice < 10)
		return (struct form){1, (u8)(0x40 | below(draft, 16)), 0, -1, false};
	if (choice < 20)
		return (struct form){1, (u8)(0x90 | below(draft, 16)), 0, 0, true};
	return forms[below(draft, ARRAY_SIZE(forms))];
}

static void add_arithmetic(struct draft *draft)
{
	struct form form = form_pick(draft);
	u8 bytes[16], reg = pooled(draft), rm = pooled(draft);
	unsigned at = 0, size = 2 + below(draft, 2);
	if (form.group >= 0)
		reg = (u8)form.group;
	if (form.group == -2)
		reg = below(draft, 8);
	if (!form.is_byte && chance(draft, 15)) {
		bytes[at++] = 0x66;
		size = 1;
	}
	u8 rex = 0x40 | (size == 3 && !form.is_byte ? 8 : 0) | (reg >> 3) << 2 | rm >> 3;
	if (draft->is_32)
		;
	else if (rex != 0x40 || chance(draft, form.is_byte ? 60 : 5))
		bytes[at++] = rex;
	if (form.map)
		bytes[at++] = 0x0f;
	bytes[at++] = form.opcode;
	bytes[at++] = 0xc0 | (reg & 7) << 3 | (rm & 7);
	u64 value = random_integer(&draft->random);
	memcpy(bytes + at, &value, 4);
	at += form.immediate == 9 ? (size == 1 ? 2 : 4) : form.immediate;
	item_add(draft, bytes, at);
}

/* The same without the REX prefix, or by an address in MOV's opcode's form. */
static void add_absolute_32(struct draft *draft, u8 bytes[8])
{
	u8 offset[5] = {(u8)(0xa0 | below(draft, 4))};
	memcpy(offset + 1, bytes + 4, 4);
	if (bytes[1] == 0x63) /* ARPL there */
		bytes[1] = 0x03;
	if (chance(draft, 20))
		item_add(draft, offset, 5);
	else
		item_add(draft, bytes + 1, 7);
}

/* MOV or an operation with memory that is there: in between, flags are where they are. */
static void add_absolute(struct draft *draft)
{
	static const u8 opcodes[] = {0x8b, 0x89, 0x03, 0x01, 0x2b, 0x29, 0x3b, 0x39, 0x23, 0x13,
		0x33, 0x31, 0x85, 0x63, 0x8b, 0x89};
	u32 place = (u32)DATA_LINEAR + (u32)random_below(&draft->random, DATA_WRITABLE_BYTES - 16);
	u8 reg = pooled(draft);
	u8 bytes[8] = {(u8)(0x40 | below(draft, 2) << 3 | (reg >> 3) << 2),
		opcodes[below(draft, ARRAY_SIZE(opcodes))], (u8)(4 | (reg & 7) << 3), 0x25};
	memcpy(bytes + 4, &place, 4);
	if (draft->is_32) {
		add_absolute_32(draft, bytes);
		return;
	}
	if (chance(draft, 15))
		bytes[1] = 0xc7, bytes[2] = 4, item_add(draft, bytes, 8)->length = 8,
		memcpy(draft->items[draft->count - 1].bytes + 8, &place, 4),
		draft->items[draft->count - 1].length = 12;
	else
		item_add(draft, bytes, 8);
}

/* ---- accesses near each other -------------------------------------------------------------------- */

/* ModRM, SIB and an 8-bit displacement: [base + index * scale + n]; index 4: none. Returns how many bytes. */
static unsigned put_near(struct draft *draft, u8 *bytes, u8 reg, u8 base, u8 index)
{
	bytes[0] = 0x44 | (reg & 7) << 3;
	bytes[1] = (u8)(below(draft, 4) << 6 | (index & 7) << 3 | (base & 7));
	bytes[2] = chance(draft, 70) ? below(draft, 64) & ~7u : below(draft, 255);
	return 3;
}

static void add_near_access(struct draft *draft, u8 base, u8 index)
{
	static const u8 opcodes[] = {
		0x8b, 0x89, 0x8b, 0x89, 0x03, 0x01, 0x3b, 0x88, 0x8a, 0x13, 0x85};
	static const u8 simd[] = {0x10, 0x11, 0x28, 0x29};
	u8 bytes[8], reg = chance(draft, 10) ? base : below(draft, 16);
	bool is_simd = chance(draft, 25);
	unsigned at = 0;
	bytes[at++] =
		(u8)(0x40 | below(draft, 2) << 3 | (reg >> 3) << 2 | (index >> 3) << 1 | base >> 3);
	if (is_simd)
		bytes[at++] = 0x0f;
	bytes[at++] = is_simd ? simd[below(draft, 4)] : opcodes[below(draft, ARRAY_SIZE(opcodes))];
	at += put_near(draft, bytes + at, reg, base, index);
	item_add(draft, bytes, at);
}

/* What leaves a register at a known distance from what one was. */
static void add_near_step(struct draft *draft, const u8 *bases)
{
	u8 from = bases[below(draft, 2)], to = bases[below(draft, 2)];
	u8 step[] = {0x48 | from >> 3, 0x83, (chance(draft, 50) ? 0xc0 : 0xe8) | (from & 7),
		below(draft, 255)};
	u8 move[] = {0x48 | (from >> 3) << 2 | to >> 3, 0x89, 0xc0 | (from & 7) << 3 | (to & 7)};
	u8 lea[8] = {0x48 | (to >> 3) << 2 | from >> 3, 0x8d};
	unsigned choice = below(draft, 10);
	if (choice < 5)
		item_add(draft, step, sizeof(step));
	else if (choice < 7)
		item_add(draft, move, sizeof(move));
	else
		item_add(draft, lea, 2 + put_near(draft, lea + 2, to, from, 4));
}

static void add_push_or_pop(struct draft *draft)
{
	u8 reg = below(draft, 16),
	   bytes[] = {0x40 | reg >> 3, 0x50 | below(draft, 2) << 3 | (reg & 7)};
	item_add(draft, bytes, sizeof(bytes));
}

/* The translator makes one check for several of these. */
static void add_near_items(struct draft *draft, const u8 *bases, u8 index, unsigned left)
{
	for (; left; left--) {
		unsigned choice = below(draft, 100);
		if (choice < 65)
			add_near_access(draft, bases[below(draft, 2)], index);
		else if (choice < 80)
			add_near_step(draft, bases);
		else if (choice < 90)
			add_push_or_pop(draft);
		else
			add_arithmetic(draft);
	}
}

static void add_base(struct draft *draft, u8 base)
{
	u64 near_end = 0x1000u * (1 + below(draft, 4)) - below(draft, 250);
	u64 anywhere = 0x1000 + below(draft, 240) * 16u;
	add_move_immediate(draft, base, DATA_LINEAR + (chance(draft, 50) ? near_end : anywhere));
}

/* dec counter; jnz back, the same register that the rounds leave alone, mostly. */
static void add_rounds(struct draft *draft, const u8 *bases, u8 index)
{
	u8 counter = below(draft, 16);
	add_move_immediate(draft, counter, 1 + below(draft, 60));
	u8 target = (u8)draft->count;
	add_near_items(draft, bases, index, 1 + below(draft, 6));
	u8 step[] = {0x48 | counter >> 3, 0x83, 0xe8 | (counter & 7), 1};
	item_add(draft, step, sizeof(step));
	struct item *item = item_add(draft, "\x0f\x85\0\0\0\0", 6);
	item->relative_bytes = 4;
	item->target = target;
}

static void add_neighbours(struct draft *draft)
{
	u8 bases[2] = {below(draft, 16), below(draft, 16)};
	u8 index = chance(draft, 25) ? below(draft, 16) : 4;
	add_base(draft, bases[0]);
	add_base(draft, bases[1]);
	if (index != 4)
		add_move_immediate(draft, index, below(draft, 16));
	if (chance(draft, 35))
		add_rounds(draft, bases, index);
	else
		add_near_items(draft, bases, index, 3 + below(draft, 9));
}

/* ---- the rows' instructions ---------------------------------------------------------------------- */

static bool begins(const struct opcode_row *row, const char *name)
{
	return !strncmp(row->semantics, name, strlen(name));
}

static unsigned mode_of(const struct draft *draft)
{
	return draft->is_32 ? SIZE_32 : SIZE_64;
}

/* Ends the program for sure, or is one of branches. */
static bool is_left_out(const struct draft *draft, const struct opcode_row *row)
{
	static const char *const names[] = {"jmp_", "jcc", "jcxz", "loop", "call_", "ret", "int",
		"ud", "hlt", "sys", "rsm", "iret", "xrstor", "fxrstor", "popf", "undefined"};
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (begins(row, names[i]))
			return true;
	return row->attributes & (ROW_CPL0 | ROW_IOPL | ROW_IO | ROW_FAR) || row_untestable(row) ||
		!(row->modes & BIT(mode_of(draft) - 1));
}

static bool is_general_copy(const struct opcode_row *row)
{
	return row->class != ROW_CLASS_HELPER && !(row->attributes & (ROW_SIMD | ROW_FPU));
}

static bool is_simd_copy(const struct opcode_row *row)
{
	return row->class == ROW_CLASS_COPY && row->attributes & ROW_SIMD;
}

static bool is_x87(const struct opcode_row *row)
{
	return (row->attributes & ROW_FPU && !row->map) || begins(row, "mmx_");
}

static unsigned pick_row(struct draft *draft)
{
	unsigned choice = below(draft, 100);
	bool wants_x87 = draft->is_x87 && chance(draft, 70);
	for (;;) {
		unsigned row = (unsigned)random_below(&draft->random, opcode_row_count);
		const struct opcode_row *r = &opcode_rows[row];
		if (is_left_out(draft, r))
			continue;
		if (wants_x87) {
			if (is_x87(r))
				return row;
			continue;
		}
		if (choice < 55 ? is_general_copy(r) : choice < 80 ? is_simd_copy(r) : true)
			return row;
	}
}

static bool uses_stack(const struct opcode_row *row)
{
	return begins(row, "push") || begins(row, "pop_") || begins(row, "enter") ||
		begins(row, "leave");
}

/* What the case needs in registers, by MOVs; not always, so that values flow. */
static void add_operands(struct draft *draft, const struct test_case *test)
{
	const struct opcode_row *row = &opcode_rows[test->row];
	u32 needed = 0;
	if (test->insn.flags & INSN_MEMORY) {
		if (test->insn.base < 16 * 8)
			needed |= 1u << test->insn.base / 8;
		if (test->insn.index < 16 * 8)
			needed |= 1u << test->insn.index / 8;
	}
	if (uses_stack(row))
		needed |= 1u << RSP | 1u << RBP;
	if (row->attributes & ROW_STRING || begins(row, "sse_maskmov") ||
		begins(row, "avx_vmaskmov"))
		needed |= 1u << RSI | 1u << RDI | 1u << RCX;
	if (begins(row, "div") || begins(row, "idiv"))
		needed |= 1u << RAX | 1u << RDX;
	if (begins(row, "xlat"))
		needed |= 1u << RAX | 1u << RBX;
	for (unsigned reg = 0; reg < 16; reg++)
		if (needed >> reg & 1 && chance(draft, 95))
			add_move_immediate(draft, reg, test->before.regs[reg]);
}

/* Where the displacement is, which was made for another address. */
static void note_rip(struct item *item, const struct test_case *test)
{
	if (!(test->insn.flags & INSN_MEMORY) || test->insn.base != LOCATION_RIP)
		return;
	for (unsigned at = 1; at + 4 <= test->length; at++) {
		i32 value;
		memcpy(&value, test->bytes + at, 4);
		if (value == test->insn.displacement) {
			item->rip_at = (u8)at;
			item->rip_rest = (u8)(test->length - at);
			item->rip_target = test->before.rip + test->length + (u64)(i64)value;
		}
	}
}

static void add_row(struct draft *draft)
{
	struct test_case test;
	unsigned tries = 0;
	do {
		unsigned row = pick_row(draft);
		if (++tries > 200)
			return;
		if (!case_generate(&test, random_next(&draft->random), row, tries))
			test.mode = SIZE_16;
	} while (test.mode != mode_of(draft) || test.insn.execute == execute_undefined ||
		(draft->is_32 && test.ds != LINUX_DS));
	add_operands(draft, &test);
	struct item *item = item_add(draft, test.bytes, test.length);
	note_rip(item, &test);
}

/* ---- branches ------------------------------------------------------------------------------------ */

static void add_branch(struct draft *draft)
{
	u8 jcc[6] = {0x0f, (u8)(0x80 | below(draft, 16))};
	unsigned choice = below(draft, 10);
	struct item *item = choice < 7 ? item_add(draft, jcc, 6)
		: choice < 9	       ? item_add(draft, "\xe9\0\0\0\0", 5)
				       : item_add(draft, "\xe3\0", 2);
	item->relative_bytes = choice < 9 ? 4 : 1;
	item->target = (u8)(draft->count + 1 + below(draft, 4));
}

/* CALL ahead, and what it leads to may be RET: then what comes after the call is run, too. */
static void add_call(struct draft *draft)
{
	u64 stack = DATA_LINEAR + 0x800 + random_below(&draft->random, 0x1000);
	add_move_immediate(draft, RSP, stack);
	struct item *item = item_add(draft, "\xe8\0\0\0\0", 5);
	item->relative_bytes = 4;
	item->target = (u8)(draft->count + 1 + below(draft, 3));
}

static void add_return(struct draft *draft)
{
	item_add(draft, "\xc3", 1);
}

/* dec dword ptr [COUNTER_LINEAR]; jnz back. */
static void add_loop(struct draft *draft)
{
	u8 bytes[7] = {0xff, 0x0c, 0x25};
	u32 counter = (u32)COUNTER_LINEAR;
	memcpy(bytes + 3, &counter, 4);
	u8 target = below(draft, draft->count + 1);
	item_add(draft, bytes, 7);
	struct item *item = item_add(draft, "\x0f\x85\0\0\0\0", 6);
	item->relative_bytes = 4;
	item->target = target;
	draft->has_loop = true;
}

/* mov byte ptr [...], imm8, into the program's own bytes. */
static void add_code_write(struct draft *draft)
{
	static const u8 values[] = {0x90, 0xf4, 0xc3, 0x00, 0x01, 0x48, 0xeb, 0x50};
	u8 bytes[8] = {0xc6, 0x04, 0x25};
	u32 place = (u32)draft->at + below(draft, 160);
	memcpy(bytes + 3, &place, 4);
	bytes[7] = chance(draft, 50) ? values[below(draft, 8)] : below(draft, 255);
	item_add(draft, bytes, 8);
}

/* ---- a program ----------------------------------------------------------------------------------- */

static void add_any(struct draft *draft)
{
	unsigned choice = below(draft, 100);
	if (draft->program.writes_code && chance(draft, 12))
		add_code_write(draft);
	else if (draft->count < ITEMS_MOST / 2 && chance(draft, 12))
		add_neighbours(draft);
	else if (choice < (draft->is_x87 ? 12 : 35))
		add_arithmetic(draft);
	else if (choice < (draft->is_x87 ? 22 : 50))
		add_absolute(draft);
	else if (choice < 87)
		add_row(draft);
	else if (choice < 94)
		add_branch(draft);
	else if (choice < 96)
		add_call(draft);
	else if (choice < 98)
		add_return(draft);
	else if (chance(draft, 30))
		item_add(draft, chance(draft, 70) ? "\x0f\x01\xcb" : "\x0f\x01\xca",
			3); /* STAC, CLAC */
	else if (!draft->has_loop)
		add_loop(draft);
}

static void draft_begin(struct draft *draft, u64 seed, unsigned number)
{
	memset(draft, 0, sizeof(*draft));
	draft->seed = seed;
	draft->number = number;
	draft->random.state = seed ^ (u64)number << 20;
	random_next(&draft->random);
	draft->is_32 = chance(draft, 33);
	for (unsigned i = 0; i < ARRAY_SIZE(draft->pool); i++)
		draft->pool[i] = below(draft, draft->is_32 ? 8 : 16);
	/* In a page, or over its end. */
	draft->at = CODE_LINEAR + 0x800;
	if (chance(draft, 30))
		draft->at = CODE_LINEAR + 0x1000 - below(draft, 150);
}

/* All exceptions masked, and none that waits: the guest's registers can be in the host's. */
static void mask_exceptions(u8 image[512])
{
	image[FPU_FCW] |= FSW_EXCEPTIONS;
	image[FPU_FSW] &= (u8)~FSW_ES;
	image[FPU_FSW + 1] &= 0x7f;
	image[FPU_MXCSR] |= 0x80;
	image[FPU_MXCSR + 1] |= 0x1f;
}

static void state_make(struct draft *draft)
{
	struct program *program = &draft->program;
	for (unsigned i = 0; i < 16; i++)
		program->before.regs[i] = random_integer(&draft->random);
	program->before.regs[RSP] = DATA_LINEAR + 0x1000;
	program->mode = (u8)mode_of(draft);
	program->ds = program->es = program->ss = LINUX_DS;
	program->wide_segments = below(draft, 4);
	program->before.rflags = 0x202 | (random_next(&draft->random) & RFLAGS_ARITHMETIC);
	random_fpu(&draft->random, program->before.fpu);
	if (draft->is_x87 && chance(draft, 90))
		mask_exceptions(program->before.fpu);
	for (unsigned i = 0; i < 16 && native_has_avx(); i++)
		random_lanes(&draft->random, program->before.ymm_high[i]);
	program->counter = 1 + below(draft, 4);
	program->is_user = chance(draft, 50);
	program->has_smap = chance(draft, 10);
	if (chance(draft, 50))
		program->before.rflags |= RFLAGS_AC;
	if (chance(draft, 4))
		program->fpu_control = below(draft, FPU_CONTROLS);
	if (chance(draft, 30))
		program->cut = 1 + below(draft, 20);
}

static void draft_make(struct draft *draft, u64 seed, unsigned number)
{
	draft_begin(draft, seed, number);
	draft->program.writes_code = chance(draft, 15);
	draft->is_x87 = chance(draft, 30);
	unsigned insns = 2 + below(draft, 29);
	while (draft->count < insns)
		add_any(draft);
	state_make(draft);
}

/* ---- bytes --------------------------------------------------------------------------------------- */

/* False: a short branch does not reach. */
static bool assemble(struct draft *draft)
{
	struct program *program = &draft->program;
	u64 starts[ITEMS_MOST + 1], at = draft->at;
	program->at = at;
	program->length = 0;
	for (unsigned i = 0; i < draft->count; i++) {
		starts[i] = at;
		if (!draft->items[i].is_removed)
			at += draft->items[i].length;
	}
	for (unsigned i = draft->count; i <= ITEMS_MOST; i++)
		starts[i] = at;
	for (unsigned i = 0; i < draft->count; i++) {
		const struct item *item = &draft->items[i];
		u8 *to = program->bytes + program->length;
		if (item->is_removed)
			continue;
		memcpy(to, item->bytes, item->length);
		if (item->relative_bytes) {
			i64 distance = (i64)(starts[MIN(item->target, ITEMS_MOST)] - starts[i]) -
				item->length;
			if (item->relative_bytes == 1 && distance > 127)
				return false;
			memcpy(to + item->length - item->relative_bytes, &distance,
				item->relative_bytes);
		}
		if (item->rip_at) {
			u64 next = starts[i] + item->rip_at + item->rip_rest;
			i32 displacement = (i32)(item->rip_target - next);
			memcpy(to + item->rip_at, &displacement, 4);
		}
		program->length += item->length;
	}
	return program->length > 0;
}

/* ---- when it differs ----------------------------------------------------------------------------- */

static bool differs(struct draft *draft, char *text, size_t size)
{
	return assemble(draft) &&
		engines_run(&draft->program, template, text, size) == VERDICT_DIFFERENT;
}

static void minimise(struct draft *draft, char *text, size_t size)
{
	bool smaller = true;
	while (smaller) {
		smaller = false;
		for (unsigned i = 0; i < draft->count; i++) {
			if (draft->items[i].is_removed)
				continue;
			draft->items[i].is_removed = true;
			if (differs(draft, text, size))
				smaller = true;
			else
				draft->items[i].is_removed = false;
		}
	}
	for (unsigned i = 0; i < 16; i++) {
		u64 value = draft->program.before.regs[i];
		draft->program.before.regs[i] = 0;
		if (!differs(draft, text, size))
			draft->program.before.regs[i] = value;
	}
	differs(draft, text, size);
}

static void print_insns(const struct program *program)
{
	for (unsigned at = 0; at < program->length;) {
		char buffer[128];
		struct text out;
		struct insn insn;
		text_init(&out, buffer, sizeof(buffer));
		bool good = decode(program->bytes + at, program->length - at, program->mode,
				    ~(u64)0, &insn) == DECODE_OK;
		unsigned length = good ? insn.length : 1;
		if (good)
			insn_print(&out, &insn, program->at + at);
		printf("    %llx ", (unsigned long long)(program->at + at));
		for (unsigned i = 0; i < length; i++)
			printf(" %02x", program->bytes[at + i]);
		printf("   %s\n", good ? buffer : "?");
		at += length;
	}
}

static void print_draft(const struct draft *draft, const char *text)
{
	const struct program *program = &draft->program;
	printf("block %u, seed %llu%s%s, minimised:\n", draft->number,
		(unsigned long long)draft->seed, draft->is_32 ? ", 32-bit" : "",
		program->is_user ? ", user" : "");
	print_insns(program);
	for (unsigned i = 0; i < 16; i++)
		printf("%s%02u %016llx%s", i % 4 ? "" : "    ", i,
			(unsigned long long)program->before.regs[i], i % 4 == 3 ? "\n" : "  ");
	printf("    rflags %llx\n%s", (unsigned long long)program->before.rflags, text);
	printf("    again: translated --seed %llu --block %u\n", (unsigned long long)draft->seed,
		draft->number);
}

unsigned blocks_run(u64 seed, long number, unsigned count, unsigned shown)
{
	static struct draft draft;
	unsigned failed = 0, endless = 0;
	unsigned first = number >= 0 ? (unsigned)number : 0, end = number >= 0 ? first + 1 : count;
	struct random random = {seed};
	random_data(&random, template, sizeof(template));
	for (unsigned i = first; i < end; i++) {
		char text[2048];
		draft_make(&draft, seed, i);
		if (!assemble(&draft))
			continue;
		enum verdict verdict = engines_run(&draft.program, template, text, sizeof(text));
		endless += verdict == VERDICT_ENDLESS;
		if (verdict != VERDICT_DIFFERENT || failed++ >= shown)
			continue;
		minimise(&draft, text, sizeof(text));
		print_draft(&draft, text);
		fflush(stdout);
	}
	if (endless)
		printf("blocks without an end: %u of %u\n", endless, end - first);
	return failed;
}
