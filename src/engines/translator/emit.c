/* SPDX-License-Identifier: MIT */
#include "engines/translator/emit.h"
#include "base/memory.h"

void emit_8(struct code *code, unsigned value)
{
	if (unlikely(code->at >= code->limit)) {
		code->is_full = true;
		return;
	}
	code->write[code->at++] = (u8)value;
}

void emit_bytes(struct code *code, const void *bytes, unsigned count)
{
	if (unlikely(count > code->limit - code->at)) {
		code->is_full = true;
		return;
	}
	memcpy(code->write + code->at, bytes, count);
	code->at += count;
}

void emit_32(struct code *code, u32 value)
{
	emit_bytes(code, &value, sizeof(value));
}

void emit_64(struct code *code, u64 value)
{
	emit_bytes(code, &value, sizeof(value));
}

/* The long form, which says everything: APM volume 3, 1.2.7. */
static void emit_vex(
	struct code *code, const struct encoding *e, unsigned r, unsigned x, unsigned b)
{
	unsigned pp = e->prefix == 0x66 ? 1 : e->prefix == 0xf3 ? 2 : e->prefix == 0xf2 ? 3 : 0;
	emit_8(code, 0xc4);
	emit_8(code, (!r) << 7 | (!x) << 6 | (!b) << 5 | e->map);
	emit_8(code,
		(unsigned)e->is_wide << 7 | (~(unsigned)e->vvvv & 15) << 3 |
			(unsigned)e->is_256 << 2 | pp);
	emit_8(code, e->opcode);
}

/* Everything up to and with the opcode. r, x, b: the high bits of the registers. */
static void emit_head(
	struct code *code, const struct encoding *e, unsigned r, unsigned x, unsigned b)
{
	static const u8 escapes[4][3] = {{0}, {0x0f}, {0x0f, 0x38}, {0x0f, 0x3a}};
	unsigned rex = (unsigned)e->is_wide << 3 | r << 2 | x << 1 | b;
	if (e->is_vex) {
		emit_vex(code, e, r, x, b);
		return;
	}
	if (e->has_lock)
		emit_8(code, 0xf0);
	if (e->has_66 || e->prefix == 0x66)
		emit_8(code, 0x66);
	if (e->prefix && e->prefix != 0x66)
		emit_8(code, e->prefix);
	if (rex || e->needs_rex)
		emit_8(code, 0x40 | rex);
	emit_bytes(code, escapes[e->map], e->map ? (e->map == 1 ? 1 : 2) : 0);
	emit_8(code, e->opcode);
}

void emit_rr(struct code *code, const struct encoding *e, unsigned reg, unsigned rm)
{
	emit_head(code, e, reg >> 3, 0, rm >> 3);
	emit_8(code, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static void emit_displacement(struct code *code, unsigned mod, i32 displacement)
{
	if (mod == 1)
		emit_8(code, (u8)displacement);
	else if (mod == 2)
		emit_32(code, (u32)displacement);
}

/* ModRM, SIB and displacement: APM volume 3, 1.4. */
static void emit_operand(struct code *code, unsigned reg, const struct place *place)
{
	unsigned base = place->base, index = place->index;
	if (base == HOST_NONE) {
		/* SIB without a base: RIP-relative is what ModRM alone would say. */
		emit_8(code, (reg & 7) << 3 | 4);
		emit_8(code,
			(unsigned)place->scale << 6 | (index == HOST_NONE ? 4 : index & 7) << 3 |
				5);
		emit_32(code, (u32)place->displacement);
		return;
	}
	i32 displacement = place->displacement;
	unsigned mod = displacement == 0 && (base & 7) != RBP ? 0
		: displacement == (i8)displacement	      ? 1
							      : 2;
	if (index == HOST_NONE && (base & 7) != RSP) {
		emit_8(code, mod << 6 | (reg & 7) << 3 | (base & 7));
	} else {
		emit_8(code, mod << 6 | (reg & 7) << 3 | 4);
		emit_8(code,
			(unsigned)place->scale << 6 | (index == HOST_NONE ? 4 : index & 7) << 3 |
				(base & 7));
	}
	emit_displacement(code, mod, displacement);
}

void emit_rm(struct code *code, const struct encoding *e, unsigned reg, const struct place *place)
{
	if (place->is_vcpu)
		emit_8(code, 0x65);
	emit_head(code, e, reg >> 3, place->index == HOST_NONE ? 0 : place->index >> 3,
		place->base == HOST_NONE ? 0 : place->base >> 3);
	emit_operand(code, reg, place);
}

void emit_op_rr(struct code *code, unsigned opcode, bool wide, unsigned reg, unsigned rm)
{
	emit_rr(code, &(struct encoding){.is_wide = wide, .opcode = (u8)opcode}, reg, rm);
}

void emit_op_rm(struct code *code, unsigned opcode, bool wide, unsigned reg, struct place place)
{
	emit_rm(code, &(struct encoding){.is_wide = wide, .opcode = (u8)opcode}, reg, &place);
}

void emit_mov(struct code *code, unsigned to, unsigned from)
{
	emit_op_rr(code, 0x89, true, from, to);
}

void emit_load(struct code *code, unsigned to, struct place place)
{
	emit_op_rm(code, 0x8b, true, to, place);
}

void emit_load_32(struct code *code, unsigned to, struct place place)
{
	emit_op_rm(code, 0x8b, false, to, place);
}

void emit_store(struct code *code, struct place place, unsigned from)
{
	emit_op_rm(code, 0x89, true, from, place);
}

void emit_lea(struct code *code, unsigned to, struct place place)
{
	emit_op_rm(code, 0x8d, true, to, place);
}

void emit_mov_immediate(struct code *code, unsigned to, u64 value)
{
	if (value <= 0xffffffff) {
		if (to >> 3)
			emit_8(code, 0x41);
		emit_8(code, 0xb8 | (to & 7));
		emit_32(code, (u32)value);
	} else {
		emit_8(code, 0x48 | to >> 3);
		emit_8(code, 0xb8 | (to & 7));
		emit_64(code, value);
	}
}

static void emit_group1_immediate(struct code *code, i32 immediate)
{
	if (immediate == (i8)immediate)
		emit_8(code, (u8)immediate);
	else
		emit_32(code, (u32)immediate);
}

void emit_group1(struct code *code, unsigned extension, bool wide, unsigned rm, i32 immediate)
{
	emit_op_rr(code, immediate == (i8)immediate ? 0x83 : 0x81, wide, extension, rm);
	emit_group1_immediate(code, immediate);
}

void emit_group1_place(
	struct code *code, unsigned extension, bool wide, struct place place, i32 immediate)
{
	emit_op_rm(code, immediate == (i8)immediate ? 0x83 : 0x81, wide, extension, place);
	emit_group1_immediate(code, immediate);
}

u32 emit_jmp(struct code *code)
{
	emit_8(code, 0xe9);
	emit_32(code, 0);
	return code->at - 4;
}

u32 emit_jcc(struct code *code, unsigned condition)
{
	emit_8(code, 0x0f);
	emit_8(code, 0x80 | condition);
	emit_32(code, 0);
	return code->at - 4;
}

void code_patch(struct code *code, u32 displacement_at, u32 target)
{
	u32 displacement = target - (displacement_at + 4);
	if (!code->is_full)
		memcpy(code->write + displacement_at, &displacement, 4);
}

u32 emit_call(struct code *code, u32 target)
{
	emit_8(code, 0xe8);
	emit_32(code, target - (code->at + 4));
	return code->at - 4;
}

void emit_jmp_to(struct code *code, u32 target)
{
	code_patch(code, emit_jmp(code), target);
}

void emit_jrcxz_over(struct code *code, unsigned bytes)
{
	emit_8(code, 0xe3);
	emit_8(code, bytes);
}

void emit_flags_save(struct code *code)
{
	emit_bytes(code, "\x9f\x0f\x90\xc0", 4); /* lahf; seto al */
	emit_rm(code, &(struct encoding){.has_66 = true, .opcode = 0x89}, RAX,
		&(struct place){HOST_NONE, HOST_NONE, 0, true, OFFSET_OF(arithmetic_flags)});
}

void emit_flags_load(struct code *code)
{
	emit_rm(code, &(struct encoding){.map = 1, .opcode = 0xb7},
		RAX, /* movzx: nothing to merge with */
		&(struct place){HOST_NONE, HOST_NONE, 0, true, OFFSET_OF(arithmetic_flags)});
	emit_bytes(code, "\x04\x7f\x9e", 3); /* add al, 127: OF; sahf */
}
