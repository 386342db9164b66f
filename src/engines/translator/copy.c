/* SPDX-License-Identifier: MIT */
/*
 * Instructions that translate to themselves with other registers. What they are and what they do with their operands
 * is said by their rows (class copy); this is the encoder for any of them.
 */
#include "engines/translator/build.h"

/* What the current instruction's operands are, by the row. */
struct shape {
	const struct opcode_row *row;
	struct encoding encoding;
	bool has_reg, has_rm; /* general registers in these places */
	bool has_vvvv;	      /* and in VEX.vvvv */
	u8 vvvv_access;
	u8 reg_access, rm_access;
	u8 reg_bytes, rm_bytes;
	bool is_byte_reg, is_byte_rm;
	unsigned reg, rm; /* host registers, or the opcode's extension */
	u8 immediate_bytes;
	bool names_vector; /* a register's number is in it */
	bool is_simd;	   /* an XMM or MMX register is among the operands */
	bool is_mmx;
	u8 memory_bytes;
	bool is_write;
};

static bool is_one_prefix(unsigned prefixes, unsigned prefix)
{
	return prefixes == prefix;
}

static u8 mandatory_prefix(const struct opcode_row *row)
{
	unsigned prefixes = row->prefixes;
	if (is_one_prefix(prefixes, ROW_PREFIX_66))
		return 0x66;
	if (is_one_prefix(prefixes, ROW_PREFIX_F3))
		return 0xf3;
	if (is_one_prefix(prefixes, ROW_PREFIX_F2))
		return 0xf2;
	return 0;
}

static bool is_sized(unsigned rule)
{
	return rule == SIZE_RULE_V || rule == SIZE_RULE_Z || rule == SIZE_RULE_Y ||
		rule == SIZE_RULE_W;
}

static void shape_vex(struct shape *shape, const struct insn *insn)
{
	const struct opcode_row *row = shape->row;
	shape->encoding = (struct encoding){
		.is_vex = true,
		.prefix = mandatory_prefix(row),
		.is_256 = row->size_rule == SIZE_RULE_X ? insn->operand_size == SIZE_256
							: (row->attributes & ROW_L1) != 0,
		.is_wide = row->attributes & ROW_REXW ||
			(row->size_rule == SIZE_RULE_Y && insn->operand_size == SIZE_64),
		.map = row->map - OPCODE_MAP_VEX,
		.opcode = insn->opcode,
	};
	shape->reg = row->modrm_value >> 3 & 7;
}

/* 82 is another 80 that 64-bit code, and so the host, does not have. */
static u8 host_opcode(const struct opcode_row *row, u8 opcode)
{
	return row->map == 0 && opcode == 0x82 ? 0x80 : opcode;
}

static void shape_encoding(struct shape *shape, const struct insn *insn)
{
	const struct opcode_row *row = shape->row;
	unsigned rule = row->size_rule;
	shape->encoding = (struct encoding){
		.prefix = mandatory_prefix(row),
		.has_66 = is_sized(rule) && insn->operand_size == SIZE_16,
		.is_wide = row->attributes & ROW_REXW ||
			((rule == SIZE_RULE_V || rule == SIZE_RULE_Y || rule == SIZE_RULE_Q) &&
				insn->operand_size == SIZE_64),
		.has_lock = insn->flags & INSN_LOCK,
		.map = row->map,
		.opcode = host_opcode(row, insn->opcode),
	};
}

static u8 immediate_bytes(const struct insn *insn, const struct row_operand *operand)
{
	switch (operand->size) {
	case OPERAND_SIZE_B:
	case OPERAND_SIZE_BS:
		return 1;
	case OPERAND_SIZE_W:
		return 2;
	default:
		return insn->operand_size == SIZE_16 ? 2 : 4;
	}
}

static bool shape_rm_memory(
	struct shape *shape, const struct insn *insn, const struct row_operand *operand)
{
	shape->memory_bytes = (u8)row_operand_bytes(insn, operand, true);
	shape->is_write = operand->access & ACCESS_W;
	return shape->memory_bytes && operand->access && operand_is_reachable(insn);
}

static bool shape_general(u8 location, u8 bytes, unsigned *host, bool *is_byte)
{
	*is_byte = bytes == 1;
	*host = location >> 3;
	return !(location & 7) && location < 16 * 8;
}

static bool shape_operand(
	struct shape *shape, const struct insn *insn, const struct row_operand *operand)
{
	bool is_memory = insn->flags & INSN_MEMORY;
	switch (operand->kind) {
	case OPERAND_E:
	case OPERAND_R:
	case OPERAND_M:
		if (is_memory)
			return shape_rm_memory(shape, insn, operand);
		shape->has_rm = true;
		shape->rm_access = operand->access;
		shape->rm_bytes = (u8)row_operand_bytes(insn, operand, false);
		return operand->kind != OPERAND_M &&
			shape_general(insn->rm, shape->rm_bytes, &shape->rm, &shape->is_byte_rm);
	case OPERAND_G:
		shape->has_reg = true;
		shape->reg_access = operand->access;
		shape->reg_bytes = (u8)row_operand_bytes(insn, operand, false);
		return shape_general(insn->reg, shape->reg_bytes, &shape->reg, &shape->is_byte_reg);
	case OPERAND_I:
		shape->immediate_bytes = immediate_bytes(insn, operand);
		return true;
	case OPERAND_ONE:
		return true;
	case OPERAND_L:
		shape->immediate_bytes = 1;
		shape->names_vector = true;
		return true;
	case OPERAND_H:
		shape->is_simd = true;
		shape->encoding.vvvv = insn->vvvv;
		return true;
	case OPERAND_K:
		shape->has_vvvv = true;
		shape->vvvv_access = operand->access;
		shape->encoding.vvvv = host_register(insn->vvvv);
		return host_register(insn->vvvv) != HOST_NONE;
	case OPERAND_V:
		shape->is_simd = true;
		shape->reg = insn->reg;
		return true;
	case OPERAND_U:
	case OPERAND_W:
		shape->is_simd = true;
		shape->rm = insn->rm;
		return is_memory ? shape_rm_memory(shape, insn, operand) : true;
	case OPERAND_XMM0:
		shape->is_simd = true;
		return true;
	case OPERAND_P:
		shape->is_simd = shape->is_mmx = true;
		shape->reg = insn->reg;
		return true;
	case OPERAND_N:
	case OPERAND_Q:
		shape->is_simd = shape->is_mmx = true;
		shape->rm = insn->rm;
		return is_memory ? shape_rm_memory(shape, insn, operand) : true;
	default:
		return false;
	}
}

/* False: not an instruction of this form. */
static bool shape_get(struct shape *shape, const struct insn *insn)
{
	const struct opcode_row *row = &opcode_rows[insn->row];
	*shape = (struct shape){.row = row};
	if (row->class != ROW_CLASS_COPY || !row->has_modrm || row->attributes & ROW_FPU)
		return false;
	if (row->map > OPCODE_MAP_VEX) {
		shape_vex(shape, insn);
	} else {
		shape_encoding(shape, insn);
		shape->reg = insn->modrm >> 3 & 7;
	}
	for (unsigned i = 0; i < row->operand_count; i++)
		if (!shape_operand(shape, insn, &row->operands[i]))
			return false;
	return true;
}

/* Byte registers 4 to 7 are SPL to DIL only with a REX prefix. */
static bool wants_rex(bool is_byte, unsigned host)
{
	return is_byte && host >= 4;
}

static void emit_immediate(struct build *b, const struct shape *shape)
{
	u64 immediate = b->insn->immediate;
	if (shape->names_vector && b->is_32)
		immediate &= 0x7f; /* there the top bit of a register's number does not count */
	emit_bytes(b->code, &immediate, shape->immediate_bytes);
}

/* The register in ModRM.reg, in a host register; *store: it must go back to memory afterwards. */
static unsigned reg_begin(struct build *b, const struct shape *shape, unsigned scratch, bool *store)
{
	*store = false;
	if (!shape->has_reg)
		return shape->reg;
	u8 host = host_register(shape->reg);
	if (host != HOST_NONE)
		return host;
	if (scratch == HOST_ADDRESS)
		stretch_lose_address(b);
	*store = shape->reg_access & ACCESS_W;
	if (shape->reg_access & ACCESS_R || shape->reg_bytes < 4)
		register_load(b, scratch, shape->reg);
	return scratch;
}

static void note_writes(struct build *b, const struct shape *shape)
{
	if (shape->has_reg && shape->reg_access & ACCESS_W)
		flags_register_written(&b->flags, shape->reg);
	if (shape->has_rm && shape->rm_access & ACCESS_W)
		flags_register_written(&b->flags, shape->rm);
	if (shape->has_vvvv && shape->vvvv_access & ACCESS_W)
		flags_register_written(&b->flags, b->insn->vvvv);
}

/* Brings the flags where the instruction wants them, just before it. */
static void flags_before(struct build *b, const struct shape *shape)
{
	unsigned use = flags_use(b->insn);
	if (use & FLAGS_READ)
		flags_to_host(b->code, &b->flags);
	if (use & FLAGS_KILLED)
		return;
	if (shape->has_reg && shape->reg_access & ACCESS_W)
		before_write(b, shape->reg);
	if (shape->has_rm && shape->rm_access & ACCESS_W)
		before_write(b, shape->rm);
	if (shape->has_vvvv && shape->vvvv_access & ACCESS_W)
		before_write(b, b->insn->vvvv);
}

static void flags_after(struct build *b, const struct shape *shape)
{
	note_writes(b, shape);
	if (flags_use(b->insn) & FLAGS_WRITTEN)
		flags_were_set(&b->flags, b->insn);
}

/* A locked access over a line's end is the semantics' (x86/split_lock.h). XCHG locks without the prefix. */
static bool must_be_aligned(const struct shape *shape)
{
	return shape->row->attributes & ROW_ALIGNED || shape->encoding.has_lock ||
		(shape->row->map == 0 && (shape->encoding.opcode & 0xfe) == 0x86);
}

static void build_memory_form(struct build *b, struct shape *shape)
{
	struct aside *aside = check_open(b, ASIDE_INSN);
	struct place place = check_operand(
		b, aside, shape->memory_bytes, shape->is_write, must_be_aligned(shape));
	bool store;
	flags_before(b, shape);
	unsigned reg = reg_begin(b, shape, HOST_SCRATCH, &store);
	shape->encoding.needs_rex = shape->has_reg && wants_rex(shape->is_byte_reg, reg);
	emit_rm(b->code, &shape->encoding, reg, &place);
	emit_immediate(b, shape);
	if (store)
		register_store(b, shape->reg, HOST_SCRATCH);
	flags_after(b, shape);
	aside_close(b, aside);
}

/* BT, BTS, BTR, BTC by a register: with memory they reach as far beyond the operand as the register says. */
static bool is_bit_test(const struct opcode_row *row, u8 opcode)
{
	return row->map == 1 &&
		(opcode == 0xa3 || opcode == 0xab || opcode == 0xb3 || opcode == 0xbb);
}

/*
 * A guest register in memory as the rm operand may be used where it is, unless 32 bits are written (the upper half must
 * become 0), or the form means something else of memory.
 */
static bool rm_in_place(const struct shape *shape)
{
	if (is_bit_test(shape->row, shape->encoding.opcode))
		return false;
	if (shape->is_simd || (shape->rm_access & ACCESS_W && shape->rm_bytes == 4))
		return false;
	/* ROL and ROR by an immediate leave another OF with memory (x86/execute/shift.c). */
	if (shape->row->map == 0 && (shape->encoding.opcode & 0xfe) == 0xc0 && shape->reg < 2)
		return false;
	/* XCHG with memory locks; XADD of a register and itself has two results for one place. */
	if (shape->row->map == 1 && (shape->encoding.opcode & 0xfe) == 0xc0)
		return false;
	return !(shape->row->map == 0 && (shape->encoding.opcode & 0xfe) == 0x86);
}

static void build_register_form(struct build *b, struct shape *shape)
{
	bool store_reg;
	flags_before(b, shape);
	unsigned reg = reg_begin(b, shape, HOST_ADDRESS, &store_reg);
	bool needs_rex = shape->has_reg && wants_rex(shape->is_byte_reg, reg);
	unsigned rm = shape->rm;
	bool store_rm = false, in_place = false;
	if (shape->has_rm) {
		rm = host_register(shape->rm);
		in_place = rm == HOST_NONE && rm_in_place(shape);
		if (rm == HOST_NONE && !in_place) {
			rm = HOST_SCRATCH;
			register_load(b, rm, shape->rm);
			store_rm = shape->rm_access & ACCESS_W;
		}
		needs_rex |= !in_place && wants_rex(shape->is_byte_rm, rm);
	}
	shape->encoding.needs_rex = needs_rex;
	if (in_place) {
		struct place place = place_vcpu(OFFSET_REGISTER(shape->rm));
		emit_rm(b->code, &shape->encoding, reg, &place);
	} else {
		emit_rr(b->code, &shape->encoding, reg, rm);
	}
	emit_immediate(b, shape);
	if (store_reg)
		register_store(b, shape->reg, reg);
	if (store_rm)
		register_store(b, shape->rm, rm);
	flags_after(b, shape);
}

/*
 * AH to BH by MOVZX and MOVSX into a whole register: the only use that compilers make of them. The host's AH is the
 * scratch register's.
 */
static bool build_high_byte(struct build *b)
{
	const struct insn *insn = b->insn;
	const struct opcode_row *row = &opcode_rows[insn->row];
	if (row->map != 1 || (insn->opcode != 0xb6 && insn->opcode != 0xbe) ||
		insn->flags & INSN_MEMORY || !(insn->rm & 7) || insn->operand_size == SIZE_16 ||
		insn->operand_size == SIZE_64)
		return false;
	unsigned to = insn->reg >> 3;
	before_write(b, to);
	register_load(b, HOST_SCRATCH, insn->rm >> 3);
	emit_rr(b->code, &(struct encoding){.map = 1, .opcode = insn->opcode}, HOST_SCRATCH,
		RSP); /* AH */
	register_store(b, to, HOST_SCRATCH);
	flags_register_written(&b->flags, to);
	return true;
}

/* Rows of the class that this form does not fit. */
static bool is_excluded(const struct insn *insn, const struct shape *shape)
{
	const struct opcode_row *row = shape->row;
	unsigned group = insn->modrm >> 3 & 7;
	if (row->map > OPCODE_MAP_VEX)
		return row->attributes & ROW_VSIB;
	if (row->map == 0)
		return (insn->opcode == 0xf6 || insn->opcode == 0xf7) && group >= 4;
	if (row->map != 1)
		return false;
	/* CMPXCHG has RAX implied; CMPXCHG8B more; bit tests in memory by a register reach beyond the operand. */
	if (insn->opcode == 0xb0 || insn->opcode == 0xb1 || insn->opcode == 0xc7)
		return true;
	if (is_bit_test(row, insn->opcode))
		return insn->flags & INSN_MEMORY;
	/* Cache lines: the address counts, and the semantics know how. Fences have no operand. */
	return insn->opcode == 0xae && insn->flags & INSN_MEMORY;
}

static u8 fpu_needed(const struct shape *shape)
{
	if (!shape->is_simd)
		return 0;
	return shape->is_mmx ? FPU_X87 : shape->encoding.is_vex ? FPU_AVX : FPU_SSE;
}

bool copied_get(struct copied *copied, const struct insn *insn)
{
	struct shape shape;
	if (!shape_get(&shape, insn) || is_excluded(insn, &shape) || shape.is_mmx)
		return false;
	*copied = (struct copied){.bytes = shape.memory_bytes,
		.align = must_be_aligned(&shape) ? shape.memory_bytes : 1,
		.is_write = shape.is_write,
		.fpu = fpu_needed(&shape)};
	return true;
}

/*
 * Instructions of one byte operand and an immediate (or none), on AH to BH: TEST and AND of a flag's byte, mostly. RDX and RBX are
 * the host's own, whose high bytes have the same numbers; the others' are the scratch register's for as long.
 */
static bool build_high_byte_alone(struct build *b)
{
	struct insn whole = *b->insn;
	struct shape shape;
	if (whole.flags & INSN_MEMORY || !(whole.rm & 7) || whole.rm >= 16 * 8)
		return false;
	whole.rm &= (u8)~7u;
	if (!shape_get(&shape, &whole) || !shape.has_rm || !shape.is_byte_rm || shape.has_reg ||
		shape.row->map != 0 || is_excluded(b->insn, &shape))
		return false;
	flags_before(b, &shape);
	u8 host = host_register(shape.rm);
	bool is_own = host == shape.rm;
	if (!is_own)
		register_load(b, HOST_SCRATCH, shape.rm);
	emit_rr(b->code, &shape.encoding, shape.reg, (is_own ? host : HOST_SCRATCH) + 4u);
	emit_immediate(b, &shape);
	if (!is_own && shape.rm_access & ACCESS_W)
		register_store(b, shape.rm, HOST_SCRATCH);
	flags_after(b, &shape);
	return true;
}

bool build_copy(struct build *b)
{
	struct shape shape;
	const struct insn *insn = b->insn;
	if (build_high_byte(b) || build_high_byte_alone(b))
		return true;
	if (!shape_get(&shape, insn) || is_excluded(insn, &shape))
		return false;
	if (shape.is_simd)
		build_fpu(b, fpu_needed(&shape));
	if (insn->flags & INSN_MEMORY)
		build_memory_form(b, &shape);
	else
		build_register_form(b, &shape);
	return true;
}
