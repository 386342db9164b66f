/* SPDX-License-Identifier: MIT */
/*
 * Bytes to struct insn: prefixes, opcode, the first row that fits, ModRM and SIB, immediate (APM volume 3, chapter 1).
 * The order matters to nobody but the last REX and the last segment override; everything else is a set.
 */
#include "x86/decode/decode.h"
#include "x86/cpu.h"
#include "x86/decode/rows.h"
#include "x86/decode/undefined.h"
#include "x86/features.h"

#define INSN_LENGTH_MAX 15

enum prefix_kind {
	PREFIX_NONE,
	PREFIX_SEGMENT, /* plus enum segment_name, up to 6 */
	PREFIX_OPERAND = 8,
	PREFIX_ADDRESS,
	PREFIX_LOCK,
	PREFIX_REPEAT,
	PREFIX_REX,
};

static const u8 prefix_kinds[256] = {
	[0x26] = PREFIX_SEGMENT + SEGMENT_ES,
	[0x2e] = PREFIX_SEGMENT + SEGMENT_CS,
	[0x36] = PREFIX_SEGMENT + SEGMENT_SS,
	[0x3e] = PREFIX_SEGMENT + SEGMENT_DS,
	[0x64] = PREFIX_SEGMENT + SEGMENT_FS,
	[0x65] = PREFIX_SEGMENT + SEGMENT_GS,
	[0x66] = PREFIX_OPERAND,
	[0x67] = PREFIX_ADDRESS,
	[0xf0] = PREFIX_LOCK,
	[0xf2 ... 0xf3] = PREFIX_REPEAT,
	[0x40 ... 0x4f] = PREFIX_REX,
};

enum rex { REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8 };

/* What has been read so far. */
struct decoding {
	const u8 *start, *at, *end; /* end: of what was given, or of 15 bytes */
	u8 code_size;
	u8 address_size;
	u8 operand_size;
	u8 segment; /* the override, or SEGMENT_NONE */
	u8 rex;	    /* 0: none */
	u8 repeat;  /* 0, f2 or f3 */
	bool operand_prefix, address_prefix, lock;
	bool vector_256; /* VEX.L */
	u8 vvvv;	 /* VEX's, not inverted: 0 where it names no register */
	u8 map, opcode, modrm;
};

/* [rule][code size - 16 bit][2 * REX.W + 66]: APM volume 3, table 1-2. */
#define S16 SIZE_16
#define S32 SIZE_32
#define S64 SIZE_64
#define SAME(size)                                                  \
	{                                                           \
		{size, size, size, size}, {size, size, size, size}, \
		{                                                   \
			size, size, size, size                      \
		}                                                   \
	}
static const u8 operand_sizes[SIZE_RULE_COUNT][3][4] = {
	[SIZE_RULE_NONE] = {{S16, S32, S16, S32}, {S32, S16, S32, S16}, {S32, S16, S64, S64}},
	[SIZE_RULE_B] = SAME(SIZE_8),
	[SIZE_RULE_W] = SAME(S16),
	[SIZE_RULE_D] = SAME(S32),
	[SIZE_RULE_Q] = SAME(S64),
	[SIZE_RULE_V] = {{S16, S32, S16, S32}, {S32, S16, S32, S16}, {S32, S16, S64, S64}},
	[SIZE_RULE_Z] = {{S16, S32, S16, S32}, {S32, S16, S32, S16}, {S32, S16, S32, S32}},
	[SIZE_RULE_Y] = {{S32, S32, S32, S32}, {S32, S32, S32, S32}, {S32, S32, S64, S64}},
	[SIZE_RULE_D64] = {{S16, S32, S16, S32}, {S32, S16, S32, S16}, {S64, S16, S64, S64}},
	[SIZE_RULE_F64] = {{S32, S32, S32, S32}, {S32, S32, S32, S32}, {S64, S64, S64, S64}},
	[SIZE_RULE_X] = SAME(SIZE_128),
};

#define ROW_OF_16(f)                                                                             \
	{                                                                                        \
		f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), \
			f(13), f(14), f(15)                                                      \
	}
#define AS_GENERAL(n) 8 * (n)
#define AS_OLD_BYTE(n) ((n) < 4 || (n) > 7 ? 8 * (n) : 8 * ((n)-4) + 1)
#define AS_NUMBER(n) (n)
#define AS_LOW(n) ((n)&7)
static const u8 register_locations[KIND_COUNT][16] = {
	[KIND_GENERAL] = ROW_OF_16(AS_GENERAL),
	[KIND_BYTE] = ROW_OF_16(AS_GENERAL),
	[KIND_BYTE_NO_REX] = ROW_OF_16(AS_OLD_BYTE),
	[KIND_NUMBER] = ROW_OF_16(AS_NUMBER),
	[KIND_LOW] = ROW_OF_16(AS_LOW),
};

static always_inline u64 read_16(const u8 *at)
{
	u16 value;

	__builtin_memcpy(&value, at, sizeof(value));
	return value;
}

static always_inline u64 read_32(const u8 *at)
{
	u32 value;

	__builtin_memcpy(&value, at, sizeof(value));
	return value;
}

static always_inline u64 read_64(const u8 *at)
{
	u64 value;

	__builtin_memcpy(&value, at, sizeof(value));
	return value;
}

/* Moves over `bytes` and returns where they are, or NULL. */
static always_inline const u8 *take(struct decoding *d, unsigned bytes)
{
	const u8 *at = d->at;

	if (unlikely((size_t)(d->end - at) < bytes))
		return NULL;
	d->at = at + bytes;
	return at;
}

static always_inline void note_prefix(struct decoding *d, unsigned kind, u8 byte)
{
	switch (kind) {
	case PREFIX_OPERAND:
		d->operand_prefix = true;
		break;
	case PREFIX_ADDRESS:
		d->address_prefix = true;
		break;
	case PREFIX_LOCK:
		d->lock = true;
		break;
	case PREFIX_REPEAT:
		d->repeat = byte;
		break;
	default:
		/* 64-bit code has only FS and GS; the others are ignored, and don't end those. */
		if (d->code_size != SIZE_64 || kind >= PREFIX_SEGMENT + SEGMENT_FS)
			d->segment = (u8)(kind - PREFIX_SEGMENT);
	}
}

/* Leaves d->at at the opcode. A REX prefix counts only right before it. */
static always_inline bool read_prefixes(struct decoding *d)
{
	for (; likely(d->at < d->end); d->at++) {
		u8 byte = *d->at;
		unsigned kind = prefix_kinds[byte];

		if (likely(kind == PREFIX_NONE))
			return true;
		if (kind == PREFIX_REX) {
			if (d->code_size != SIZE_64)
				return true;
			d->rex = byte;
			continue;
		}
		d->rex = 0;
		note_prefix(d, kind, byte);
	}
	return false;
}

static always_inline bool read_opcode(struct decoding *d)
{
	const u8 *at = take(d, 1);

	if (likely(*at != 0x0f)) {
		d->opcode = *at;
		return true;
	}
	at = take(d, 1);
	if (!at)
		return false;
	d->map = 1;
	if (unlikely(*at == 0x38 || *at == 0x3a)) {
		d->map = *at == 0x38 ? 2 : 3;
		at = take(d, 1);
		if (!at)
			return false;
	}
	d->opcode = *at;
	return true;
}

static always_inline unsigned situation_get(const struct decoding *d)
{
	unsigned bits = d->repeat == 0xf3 ? ROW_PREFIX_F3
		: d->repeat		  ? ROW_PREFIX_F2
		: d->operand_prefix	  ? ROW_PREFIX_66
					  : ROW_PREFIX_NONE;

	bits |= (unsigned)SITUATION_MODE_16 << (d->code_size - SIZE_16);
	bits |= d->modrm >= 0xc0 ? SITUATION_REGISTER : SITUATION_MEMORY;
	bits |= d->rex & REX_W ? SITUATION_REXW_SET : SITUATION_REXW_CLEAR;
	bits |= d->vector_256 ? SITUATION_L_SET : SITUATION_L_CLEAR;
	return bits | (d->rex & REX_B ? SITUATION_REXB_SET : SITUATION_REXB_CLEAR);
}

/* The first row that fits, or NULL. */
static always_inline const struct candidate *find_row(
	const struct decoding *d, const struct opcode_entry *entry, u64 features)
{
	const struct candidate *candidate, *end;
	unsigned situation = situation_get(d);

	if (entry->flags & ENTRY_CELLS)
		entry = &opcode_cells[entry->first + (d->modrm >= 0xc0) * 8 + (d->modrm >> 3 & 7)];
	candidate = &opcode_candidates[entry->first];
	for (end = candidate + entry->count; candidate < end; candidate++)
		if (!(situation & ~candidate->situations) &&
			(d->modrm & candidate->modrm_mask) == candidate->modrm_value &&
			features >> candidate->feature & 1)
			return candidate;
	return NULL;
}

/* default_segment: what the address says without an override. */
static always_inline u8 segment_get(const struct decoding *d, u8 default_segment)
{
	if (d->code_size == SIZE_64)
		return d->segment;
	return d->segment == SEGMENT_NONE ? default_segment : d->segment;
}

static always_inline bool read_displacement(struct decoding *d, struct insn *insn, unsigned bytes)
{
	const u8 *at = take(d, bytes);

	if (unlikely(!at))
		return false;
	if (bytes == 1)
		insn->displacement = (i8)*at;
	else if (bytes == 2)
		insn->displacement = (i16)read_16(at);
	else if (bytes == 4)
		insn->displacement = (i32)read_32(at);
	return true;
}

/* 16-bit addressing: APM volume 3, table 1-16 (ModRM). */
static no_inline bool read_address_16(struct decoding *d, struct insn *insn)
{
	static const u8 bases[8] = {RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX};
	static const u8 indexes[8] = {
		RSI, RDI, RSI, RDI, REGISTER_ZERO, REGISTER_ZERO, REGISTER_ZERO, REGISTER_ZERO};
	static const u8 bytes[3] = {0, 1, 2};
	unsigned mod = d->modrm >> 6, rm = d->modrm & 7;

	if (mod == 0 && rm == 6) {
		insn->base = LOCATION_ZERO;
		insn->segment = segment_get(d, SEGMENT_DS);
		return read_displacement(d, insn, 2);
	}
	insn->base = bases[rm] * 8;
	insn->index = indexes[rm] * 8;
	insn->segment = segment_get(d, bases[rm] == RBP ? SEGMENT_SS : SEGMENT_DS);
	return read_displacement(d, insn, bytes[mod]);
}

/* The byte after ModRM; *base becomes the base's number. */
static always_inline bool read_sib(struct decoding *d, struct insn *insn, unsigned *base)
{
	const u8 *at = take(d, 1);
	unsigned index;

	if (unlikely(!at))
		return false;
	index = (*at >> 3 & 7) | (d->rex & REX_X) << 2;
	if (index != RSP) {
		insn->index = (u8)(index * 8);
		insn->scale = *at >> 6;
	}
	*base = *at & 7;
	return true;
}

/* 32- and 64-bit addressing: APM volume 3, tables 1-14, 1-15. */
static always_inline bool read_address(struct decoding *d, struct insn *insn)
{
	static const u8 bytes[3] = {0, 1, 4};
	unsigned mod = d->modrm >> 6, base = d->modrm & 7;
	bool has_sib = base == RSP;

	if (has_sib && !read_sib(d, insn, &base))
		return false;
	if (unlikely(mod == 0 && base == RBP)) {
		insn->base = d->code_size == SIZE_64 && !has_sib ? LOCATION_RIP : LOCATION_ZERO;
		insn->segment = segment_get(d, SEGMENT_DS);
		return read_displacement(d, insn, 4);
	}
	base |= (d->rex & REX_B) << 3;
	insn->base = (u8)(base * 8);
	insn->segment = segment_get(d, base == RSP || base == RBP ? SEGMENT_SS : SEGMENT_DS);
	return read_displacement(d, insn, bytes[mod]);
}

/* VSIB: the index is a vector, which leaves no way to have none (SDM volume 2, 2.3.12). */
static no_inline bool read_vector_address(struct decoding *d, struct insn *insn)
{
	const u8 *sib = d->at;

	insn->flags |= INSN_MEMORY;
	if (!read_address(d, insn))
		return false;
	insn->rm = insn->index == LOCATION_ZERO ? RSP : insn->index / 8;
	insn->scale = *sib >> 6;
	insn->index = LOCATION_ZERO;
	return true;
}

static always_inline bool read_memory_operand(struct decoding *d, struct insn *insn, unsigned check)
{
	if (unlikely(check == CHECK_VSIB))
		return read_vector_address(d, insn);
	insn->flags |= INSN_MEMORY;
	if (unlikely(d->address_size == SIZE_16))
		return read_address_16(d, insn);
	return read_address(d, insn);
}

static void set_implied_memory(
	const struct decoding *d, struct insn *insn, unsigned base, u8 default_segment)
{
	insn->flags |= INSN_MEMORY;
	insn->base = (u8)(base * 8);
	insn->segment = segment_get(d, default_segment);
}

/* The operands that ModRM does not name. */
static always_inline void set_implied(
	const struct decoding *d, const struct candidate *row, struct insn *insn)
{
	unsigned kind = row->reg_kind == KIND_BYTE && !d->rex ? KIND_BYTE_NO_REX : row->reg_kind;
	unsigned number = (d->opcode & 7) | (d->rex & REX_B) << 3;

	switch (row->implied) {
	case IMPLIED_NONE:
	case IMPLIED_RAX: /* location 0, as there is no ModRM */
		break;
	case IMPLIED_OPCODE:
		insn->reg = insn->rm = register_locations[kind][number];
		break;
	case IMPLIED_OPCODE_RAX:
		insn->reg = register_locations[kind][number];
		break;
	case IMPLIED_SI:
		set_implied_memory(d, insn, RSI, SEGMENT_DS);
		break;
	case IMPLIED_DI: /* ES cannot be overridden */
		set_implied_memory(d, insn, RDI, SEGMENT_ES);
		insn->segment = d->code_size == SIZE_64 ? SEGMENT_NONE : SEGMENT_ES;
		break;
	case IMPLIED_BX:
		set_implied_memory(d, insn, RBX, SEGMENT_DS);
		break;
	case IMPLIED_OFFSET:
		set_implied_memory(d, insn, REGISTER_ZERO, SEGMENT_DS);
		break;
	default:
		insn->reg = (u8)(row->implied - IMPLIED_SEGMENT);
	}
}

static always_inline void set_registers(
	const struct decoding *d, const struct candidate *row, struct insn *insn)
{
	unsigned reg_kind = row->reg_kind, rm_kind = row->rm_kind;

	if (!d->rex) {
		reg_kind += reg_kind == KIND_BYTE;
		rm_kind += rm_kind == KIND_BYTE;
	}
	insn->reg = register_locations[reg_kind][(d->modrm >> 3 & 7) | (d->rex & REX_R) << 1];
	insn->rm = register_locations[rm_kind][(d->modrm & 7) | (d->rex & REX_B) << 3];
}

static always_inline u8 vvvv_register(const struct decoding *d)
{
	return d->code_size == SIZE_64 ? d->vvvv : d->vvvv & 7;
}

/* Segment, control and debug registers that do not exist, and what VEX must not or must have. */
static bool register_exists(const struct decoding *d, unsigned check, unsigned number)
{
	switch (check) {
	case CHECK_NO_VVVV:
		return !d->vvvv;
	case CHECK_VSIB:
		return d->address_size != SIZE_16 && (d->modrm & 7) == RSP &&
			vvvv_register(d) != number;
	case CHECK_SEGMENT:
		return number <= SEGMENT_GS;
	case CHECK_SEGMENT_WRITE:
		return number <= SEGMENT_GS && number != SEGMENT_CS;
	case CHECK_CONTROL:
		return number == 0 || number == 8 || (number >= 2 && number <= 4);
	case CHECK_DEBUG:
		return number < 8;
	default:
		return true;
	}
}

static bool read_far_pointer(struct decoding *d, struct insn *insn)
{
	unsigned bytes = d->operand_size == SIZE_16 ? 2 : 4;
	const u8 *at = take(d, bytes + 2);

	if (!at)
		return false;
	insn->immediate = (bytes == 2 ? read_16(at) : read_32(at)) | read_16(at + bytes) << 32;
	return true;
}

/* bytes: 2, 4 or 8. */
static always_inline bool read_unsigned(struct decoding *d, struct insn *insn, unsigned bytes)
{
	const u8 *at = take(d, bytes);

	if (unlikely(!at))
		return false;
	insn->immediate = bytes == 2 ? read_16(at) : bytes == 4 ? read_32(at) : read_64(at);
	return true;
}

static always_inline bool read_signed(struct decoding *d, struct insn *insn)
{
	unsigned bytes = d->operand_size == SIZE_16 ? 2 : 4;
	const u8 *at = take(d, bytes);

	if (unlikely(!at))
		return false;
	insn->immediate = (u64)(bytes == 2 ? (i64)(i16)read_16(at) : (i64)(i32)read_32(at));
	return true;
}

static no_inline bool read_rare_immediate(struct decoding *d, unsigned kind, struct insn *insn)
{
	const u8 *at;

	switch (kind) {
	case IMMEDIATE_FAR:
		return read_far_pointer(d, insn);
	case IMMEDIATE_ENTER:
		at = take(d, 3);
		if (at)
			insn->immediate = read_16(at) | (u64)at[2] << 16;
		return at;
	case IMMEDIATE_OFFSET:
		return read_unsigned(d, insn, 1u << d->address_size);
	case IMMEDIATE_IV:
		return read_unsigned(d, insn, 1u << d->operand_size);
	case IMMEDIATE_IW:
		return read_unsigned(d, insn, 2);
	default: /* IMMEDIATE_ONE */
		insn->immediate = 1;
		return true;
	}
}

static always_inline bool read_immediate(struct decoding *d, unsigned kind, struct insn *insn)
{
	const u8 *at;

	switch (kind) {
	case IMMEDIATE_NONE:
		return true;
	case IMMEDIATE_IB:
	case IMMEDIATE_IBS:
		at = take(d, 1);
		if (unlikely(!at))
			return false;
		insn->immediate = kind == IMMEDIATE_IB ? *at : (u64)(i64)(i8)*at;
		return true;
	case IMMEDIATE_IZ:
	case IMMEDIATE_JZ:
		return read_signed(d, insn);
	default:
		return read_rare_immediate(d, kind, insn);
	}
}

static always_inline u8 row_flags(const struct decoding *d, const struct candidate *row)
{
	unsigned flags = d->rex ? 0 : INSN_NO_REX;

	if (d->code_size == SIZE_64 && d->address_size == SIZE_64)
		flags |= INSN_FLAT;
	if (row->flags & CANDIDATE_END)
		flags |= INSN_ENDS_BLOCK;
	if (d->lock)
		flags |= INSN_LOCK;
	/* F2 repeats the string instructions without a condition, too (APM volume 3, 1.2.6). */
	if (unlikely(d->repeat && row->flags & (CANDIDATE_REP | CANDIDATE_REPZ)))
		flags |= d->repeat == 0xf3 || row->flags & CANDIDATE_REP ? INSN_REP : INSN_REPNE;
	return (u8)flags;
}

static always_inline execute_fn *handler_get(
	const struct decoding *d, const struct candidate *row, enum insn_form form)
{
	unsigned variant = 0;
	execute_fn *handler;

	if (row->flags & CANDIDATE_BY_CONDITION)
		variant = d->opcode & 15;
	if (row->flags & CANDIDATE_BY_SIZE)
		variant = variant * SIZE_COUNT + d->operand_size;
	if (row->flags & CANDIDATE_BY_FORM)
		variant = variant * FORM_COUNT + form;
	handler = opcode_handlers[row->handlers + variant];
	return likely(handler != NULL) ? handler : execute_undefined;
}

/* *insn becomes something of the right length that raises. */
static cold enum decode_result decode_fail(
	const struct decoding *d, struct insn *insn, enum decode_result result)
{
	*insn = (struct insn){
		.execute = result == DECODE_TOO_LONG ? execute_too_long : execute_undefined,
		.length = (u8)(d->at - d->start),
		.flags = INSN_ENDS_BLOCK,
		.base = LOCATION_ZERO,
		.index = LOCATION_ZERO,
		.segment = SEGMENT_NONE,
		.code_size = d->code_size,
		.address_size = d->address_size,
		.row = ROW_INVALID,
		.opcode = d->opcode,
		.modrm = d->modrm,
	};
	return result;
}

/* There were not enough bytes. */
static cold enum decode_result decode_short(struct decoding *d, struct insn *insn)
{
	if (d->end - d->start < INSN_LENGTH_MAX)
		return DECODE_INCOMPLETE;
	d->at = d->end;
	return decode_fail(d, insn, DECODE_TOO_LONG);
}

/* Everything from ModRM's registers on: the row is known. */
static always_inline enum decode_result decode_row(
	struct decoding *d, const struct candidate *row, bool has_modrm, struct insn *insn)
{
	bool is_memory = has_modrm && d->modrm < 0xc0 && !(row->flags & CANDIDATE_MOD_IGNORED);

	if (unlikely(d->lock && !(is_memory && row->flags & CANDIDATE_LOCK)))
		return decode_fail(d, insn, DECODE_INVALID);
	d->operand_size = operand_sizes[row->size_rule][d->code_size - SIZE_16]
				       [(d->rex & REX_W) >> 2 | d->operand_prefix];
	if (unlikely(row->size_rule == SIZE_RULE_X))
		d->operand_size = d->vector_256 ? SIZE_256 : SIZE_128;
	*insn = (struct insn){
		.execute = handler_get(d, row,
			!is_memory	  ? FORM_REGISTER
				: d->lock ? FORM_LOCKED
					  : FORM_MEMORY),
		.flags = row_flags(d, row),
		.base = LOCATION_ZERO,
		.index = LOCATION_ZERO,
		.segment = segment_get(d, SEGMENT_DS),
		.operand_size = d->operand_size,
		.address_size = d->address_size,
		.code_size = d->code_size,
		.row = row->row,
		.opcode = d->opcode,
		.modrm = d->map > OPCODE_MAP_VEX ? vvvv_register(d) : d->modrm,
	};
	if (has_modrm)
		set_registers(d, row, insn);
	else
		set_implied(d, row, insn);
	if (unlikely(row->check && !register_exists(d, row->check, insn->reg)))
		return decode_fail(d, insn, DECODE_INVALID);
	if (is_memory && !read_memory_operand(d, insn, row->check))
		return decode_short(d, insn);
	if (unlikely(row->check == CHECK_VSIB && (insn->rm == insn->reg || insn->rm == insn->vvvv)))
		return decode_fail(d, insn, DECODE_INVALID);
	if (!read_immediate(d, row->immediate, insn))
		return decode_short(d, insn);
	insn->length = (u8)(d->at - d->start);
	return DECODE_OK;
}

/*
 * VEX, after C4 or C5 (SDM volume 2, 2.3): its fields go where prefixes and REX would have put them. Only 64-bit code
 * has registers beyond the first eight; elsewhere the bits that would name them are not looked at, but vvvv's where it
 * must name none.
 */
static no_inline enum decode_result read_vex(struct decoding *d)
{
	bool is_long = d->opcode == 0xc4;
	u8 first, second;
	const u8 *at;

	if (d->operand_prefix || d->repeat || d->lock || d->rex)
		return DECODE_INVALID;
	at = take(d, is_long ? 3 : 2);
	if (!at)
		return DECODE_INCOMPLETE;
	first = is_long ? (u8)~at[0] : (u8)(~at[0] & 0x80);
	second = is_long ? at[1] : at[0] & 0x7f;
	if (is_long && (at[0] & 31) - 1u > 2)
		return DECODE_INVALID;
	d->map = OPCODE_MAP_VEX + (is_long ? at[0] & 31 : 1);
	d->opcode = at[is_long ? 2 : 1];
	d->rex = (second >> 7) * REX_W | 0x40;
	d->vvvv = ~second >> 3 & 15;
	if (d->code_size == SIZE_64)
		d->rex |= first >> 5;
	d->vector_256 = second >> 2 & 1;
	d->operand_prefix = (second & 3) == 1;
	d->repeat = (second & 3) == 2 ? 0xf3 : (second & 3) == 3 ? 0xf2 : 0;
	return DECODE_OK;
}

/* C4 and C5 are LES and LDS outside 64-bit code with a memory operand; no prefix at all without AVX. */
static always_inline bool starts_vex(const struct decoding *d, u64 features)
{
	if (likely(d->opcode >> 1 != 0xc4 >> 1) || d->map || !(features >> FEATURE_AVX & 1))
		return false;
	return d->code_size == SIZE_64 || (d->at < d->end && *d->at >= 0xc0);
}

static always_inline void set_address_size(struct decoding *d)
{
	if (likely(!d->address_prefix))
		d->address_size = d->code_size;
	else
		d->address_size = d->code_size == SIZE_32 ? SIZE_16 : SIZE_32;
}

enum decode_result decode(const u8 *bytes, unsigned available, enum insn_size code_size,
	u64 features, struct insn *insn)
{
	struct decoding d = {
		.start = bytes,
		.at = bytes,
		.end = bytes + MIN(available, INSN_LENGTH_MAX),
		.code_size = (u8)code_size,
		.segment = SEGMENT_NONE,
	};
	const struct opcode_entry *entry;
	const struct candidate *row;
	const u8 *at;

	if (!read_prefixes(&d) || !read_opcode(&d))
		return decode_short(&d, insn);
	if (unlikely(starts_vex(&d, features))) {
		enum decode_result result = read_vex(&d);
		if (result == DECODE_INCOMPLETE)
			return decode_short(&d, insn);
		if (result != DECODE_OK)
			return decode_fail(&d, insn, result);
	}
	set_address_size(&d);
	entry = &opcode_index[d.map << 8 | d.opcode];
	if (entry->flags & ENTRY_MODRM) {
		at = take(&d, 1);
		if (unlikely(!at))
			return decode_short(&d, insn);
		d.modrm = *at;
	}
	row = find_row(&d, entry, features | 1u << FEATURE_BASE);
	if (unlikely(!row))
		return decode_fail(&d, insn, DECODE_INVALID);
	return decode_row(&d, row, entry->flags & ENTRY_MODRM, insn);
}
