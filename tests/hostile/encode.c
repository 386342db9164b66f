/* SPDX-License-Identifier: MIT */
/* Valid encodings made from the rows of the opcode tables. */
#include <string.h>

#include "base/bits.h"
#include "tests/hostile/hostile.h"
#include "x86/decode/decode.h"
#include "x86/decode/rows.h"

struct encoding {
	u8 bytes[32];
	unsigned length;
};

static void put(struct encoding *encoding, unsigned byte)
{
	encoding->bytes[encoding->length++] = (u8)byte;
}

static void put_prefixes(
	struct encoding *encoding, struct random *random, const struct opcode_row *row)
{
	static const u8 segments[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};

	if (random_one_in(random, 8))
		put(encoding, 0x67);
	if (random_one_in(random, 8))
		put(encoding, segments[random_below(random, ARRAY_SIZE(segments))]);
	if ((row->attributes & ROW_LOCK) && random_one_in(random, 3))
		put(encoding, 0xf0);
	if ((row->attributes & (ROW_REP | ROW_REPZ)) && random_one_in(random, 2))
		put(encoding, 0xf2 + (unsigned)random_below(random, 2));
}

/* One that the row asks for, or for those that take any, an operand size now and then. */
static void put_mandatory(
	struct encoding *encoding, struct random *random, const struct opcode_row *row)
{
	static const u8 bytes[] = {0, 0x66, 0xf3, 0xf2};
	unsigned choice = (unsigned)random_below(random, 4);

	if (row->prefixes == 0xf)
		choice = random_one_in(random, 4);
	while (!(row->prefixes & (1 << choice)))
		choice = (choice + 1) % 4;
	if (choice)
		put(encoding, bytes[choice]);
}

static void put_rex(struct encoding *encoding, struct random *random, const struct opcode_row *row)
{
	unsigned rex = random_one_in(random, 2) ? 0 : 0x40 | (unsigned)random_below(random, 16);

	if (row->attributes & ROW_REXW)
		rex |= 0x48;
	if (row->attributes & ROW_NOREXW)
		rex &= ~8u;
	if (row->attributes & ROW_NOREXB)
		rex &= ~1u;
	if (rex)
		put(encoding, rex);
}

/* C4 or C5 with any registers: what the row does not allow the decoder refuses. Outside 64-bit code not LES and LDS. */
static void put_vex(
	struct encoding *encoding, struct random *random, const struct opcode_row *row, bool is_64)
{
	static const u8 pp[] = {[ROW_PREFIX_NONE] = 0,
		[ROW_PREFIX_66] = 1,
		[ROW_PREFIX_F3] = 2,
		[ROW_PREFIX_F2] = 3};
	unsigned inverted = (unsigned)random_below(random, 256), third;
	unsigned rxb = (inverted & (is_64 ? 0xe0 : 0x20)) | (is_64 ? 0 : 0xc0);

	/* W, vvvv and L; half of the time without vvvv, which many rows want. */
	third = (unsigned)random_below(random, 32) << 3 | (random_one_in(random, 2) ? 0x78 : 0);
	if (row->attributes & ROW_REXW)
		third |= 0x80;
	if (row->attributes & ROW_NOREXW)
		third &= 0x7f;
	if (row->attributes & ROW_L1)
		third |= 4;
	else if (!(row->attributes & ROW_L0) && random_one_in(random, 2))
		third |= 4;
	third = (third & 0xfc) | pp[row->prefixes];
	if (row->map == OPCODE_MAP_VEX + 1 && !(third & 0x80) && (rxb & 0x60) == 0x60) {
		put(encoding, 0xc5);
		put(encoding, (rxb & 0x80) | (is_64 ? 0 : 0x40) | (third & 0x7f));
		return;
	}
	put(encoding, 0xc4);
	put(encoding, rxb | (row->map - OPCODE_MAP_VEX));
	put(encoding, third);
}

static void put_opcode(
	struct encoding *encoding, struct random *random, const struct opcode_row *row)
{
	if (row->map && row->map <= OPCODE_MAP_VEX)
		put(encoding, 0x0f);
	if (row->map > 1 && row->map <= OPCODE_MAP_VEX)
		put(encoding, row->map == 2 ? 0x38 : 0x3a);
	put(encoding, row->opcode + (unsigned)random_below(random, row->opcodes));
	if (row->has_modrm) {
		unsigned modrm = (unsigned)random_next(random) & 0xff;

		if (row->forms == 1)
			modrm |= 0xc0;
		else if (row->forms == 2 && modrm >= 0xc0)
			modrm -= 0x40;
		put(encoding, (modrm & (unsigned)~row->modrm_mask & 0xff) | row->modrm_value);
	}
}

/* Displacements and immediates: small ones half of the time. */
static void put_rest(struct encoding *encoding, struct random *random)
{
	unsigned kind = (unsigned)random_below(random, 4);

	while (encoding->length < sizeof(encoding->bytes)) {
		u64 value = random_next(random);

		put(encoding, kind == 0 ? 0 : kind == 1 ? value % 16 : value & 0xff);
	}
}

/* A far pointer that leads somewhere, for either operand size. */
static void put_far_pointer(struct encoding *encoding, struct random *random, unsigned code_size)
{
	u32 target = scenario_target(random, code_size), selector = scenario_selector(random);

	put(encoding, target & 0xff);
	put(encoding, target >> 8 & 0xff);
	if (code_size == SIZE_32) {
		put(encoding, target >> 16);
		put(encoding, 0);
	}
	put(encoding, selector & 0xff);
	put(encoding, selector >> 8);
}

unsigned encode_random(struct random *random, unsigned code_size, u64 features, u8 to[15])
{
	bool is_system = random_one_in(random, 24);

	for (unsigned tries = 0; tries < 500; tries++) {
		const struct opcode_row *row = &opcode_rows[random_below(random, opcode_row_count)];
		struct encoding encoding = {.length = 0};
		struct insn insn;

		if (!(row->modes & BIT(code_size - 1)))
			continue;
		if (is_system && !(row->attributes & (ROW_CPL0 | ROW_FAR | ROW_IOPL)))
			continue;
		put_prefixes(&encoding, random, row);
		if (row->map > OPCODE_MAP_VEX) {
			put_vex(&encoding, random, row, code_size == SIZE_64);
		} else {
			put_mandatory(&encoding, random, row);
			if (code_size == SIZE_64)
				put_rex(&encoding, random, row);
		}
		put_opcode(&encoding, random, row);
		if (row->operand_count && row->operands[0].kind == OPERAND_A)
			put_far_pointer(&encoding, random, code_size);
		put_rest(&encoding, random);
		if (decode(encoding.bytes, 15, code_size, features, &insn) != DECODE_OK)
			continue;
		memcpy(to, encoding.bytes, insn.length);
		return insn.length;
	}
	to[0] = 0x90;
	return 1;
}
