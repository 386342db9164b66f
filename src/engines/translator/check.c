/* SPDX-License-Identifier: MIT */
/* Guest addresses to host addresses: the inline TLB (docs/design/translator.md, design A). */
#include "engines/translator/build.h"

static u8 guest_of(u8 location)
{
	return location < 16 * 8 ? location >> 3 : NO_GUEST;
}

/* Whose base is to be added. */
static u8 segment_of(const struct insn *insn)
{
	bool has_base = insn->segment == SEGMENT_FS || insn->segment == SEGMENT_GS;
	return has_base ? insn->segment : SEGMENT_NONE;
}

struct address address_of(const struct insn *insn, u32 offset_next)
{
	struct address a = {.base = guest_of(insn->base),
		.index = guest_of(insn->index),
		.scale = insn->scale,
		.is_rip = insn->base == LOCATION_RIP,
		.segment = segment_of(insn),
		.displacement = insn->displacement};
	if (a.is_rip)
		a.displacement += (i32)offset_next;
	return a;
}

static struct place slot(unsigned guest)
{
	return place_vcpu(OFFSET_REGISTER(guest));
}

/* The linear address into `to`. `to` and HOST_ADDRESS may be used; flag-free unless there is a segment base. */
static void emit_linear(struct build *b, const struct address *a, unsigned to)
{
	struct code *code = b->code;
	struct place place = {HOST_NONE, HOST_NONE, a->scale, false, a->displacement};
	if (a->is_rip) {
		emit_load(code, to, place_vcpu(OFFSET_WORD(WORD_CODE_BASE)));
		place.base = (u8)to;
	} else if (a->base != NO_GUEST) {
		place.base = host_register(a->base);
		if (place.base == HOST_NONE) {
			emit_load(code, to, slot(a->base));
			place.base = (u8)to;
		}
	}
	if (a->index != NO_GUEST) {
		place.index = host_register(a->index);
		if (place.index == HOST_NONE) {
			/* to is free as the second one unless the base is there. */
			unsigned at = place.base == to ? HOST_ADDRESS : to;
			stretch_lose_address(b);
			emit_load(code, at, slot(a->index));
			place.index = (u8)at;
		}
	}
	emit_word_lea(b, to, place);
	if (a->segment != SEGMENT_NONE)
		emit_op_rm(code, 0x03, !b->is_32, to, place_vcpu(OFFSET_SEGMENT_BASE(a->segment)));
}

void emit_address(struct build *b, unsigned to)
{
	struct address a = address_of(b->insn, b->offset_next);
	a.segment = SEGMENT_NONE;
	emit_linear(b, &a, to);
}

/* FS and GS may be null, or small, in 32-bit code. */
static void emit_segment_check(struct build *b, struct aside *aside, const struct address *a)
{
	if (!b->is_32 || a->segment == SEGMENT_NONE)
		return;
	emit_op_rm(b->code, 0xf6, false, 0, place_vcpu(OFFSET_WORD(WORD_SEGMENTS)));
	emit_8(b->code, a->segment == SEGMENT_FS ? FLAT_FS : FLAT_GS);
	aside_jump(aside, emit_jcc(b->code, 4)); /* jz */
}

/* HOST_ADDRESS has the page's addend; the sum of 32 bits is made once more, since only it is what has been checked. */
static struct place emit_rest_32(struct build *b, const struct address *a)
{
	emit_linear(b, a, HOST_SCRATCH);
	emit_lea(b->code, HOST_ADDRESS, (struct place){HOST_ADDRESS, HOST_SCRATCH, 0, false, 0});
	return place_base(HOST_ADDRESS, 0);
}

/* HOST_ADDRESS has the page's addend; what is left of the address becomes part of the place. */
static struct place emit_rest(struct build *b, const struct address *a)
{
	struct code *code = b->code;
	struct place place = {HOST_ADDRESS, HOST_NONE, 0, false, a->displacement};
	u8 base = a->base == NO_GUEST ? HOST_NONE : host_register(a->base);
	if (a->is_rip)
		emit_op_rm(code, 0x03, true, HOST_ADDRESS, place_vcpu(OFFSET_WORD(WORD_CODE_BASE)));
	if (a->segment != SEGMENT_NONE)
		emit_op_rm(code, 0x03, true, HOST_ADDRESS,
			place_vcpu(OFFSET_SEGMENT_BASE(a->segment)));
	if (a->base != NO_GUEST && base == HOST_NONE)
		emit_op_rm(code, 0x03, true, HOST_ADDRESS, slot(a->base));
	if (a->index == NO_GUEST) {
		place.index = base;
		return place;
	}
	if (base != HOST_NONE)
		emit_op_rr(code, 0x03, true, HOST_ADDRESS, base);
	place.index = host_register(a->index);
	place.scale = a->scale;
	if (place.index != HOST_NONE)
		return place;
	emit_load(code, HOST_SCRATCH, slot(a->index));
	emit_lea(
		code, HOST_ADDRESS, (struct place){HOST_ADDRESS, HOST_SCRATCH, a->scale, false, 0});
	place.index = HOST_NONE;
	return place;
}

/*
 * The entry is that of the first byte's page; the tag is compared with the last byte's page (or the last aligned unit's), so that an access
 * over a page's end never hits. Bits below the alignment, where that is asked for, stay in the comparison, and no tag has them.
 */
static struct place emit_check(struct build *b, struct aside *aside, const struct address *a,
	unsigned bytes, bool is_write, unsigned align)
{
	struct code *code = b->code;
	u64 tag = is_write ? __builtin_offsetof(struct tlb_entry, write)
			   : __builtin_offsetof(struct tlb_entry, read);
	i32 mask = (i32)PAGE_MASK | (i32)(align - 1);
	emit_segment_check(b, aside, a);
	emit_linear(b, a, HOST_SCRATCH);
	emit_op_rr(code, 0x89, false, HOST_SCRATCH, HOST_ADDRESS);
	emit_op_rr(code, 0xc1, false, 5, HOST_ADDRESS); /* shr */
	emit_8(code, PAGE_SHIFT - 5);
	emit_op_rr(code, 0x81, false, 4, HOST_ADDRESS); /* and */
	emit_32(code, (TLB_ENTRIES - 1) * (u32)sizeof(struct tlb_entry));
	emit_op_rm(code, 0x03, true, HOST_ADDRESS, place_vcpu(OFFSET_OF(data_tlb)));
	if (bytes > align)
		emit_group1(code, 0, true, HOST_SCRATCH, (i32)(bytes - align));
	emit_op_rr(code, 0x81, true, 4, HOST_SCRATCH);
	emit_32(code, (u32)mask);
	emit_op_rm(code, 0x3b, true, HOST_SCRATCH, place_base(HOST_ADDRESS, (i32)tag));
	struct miss *miss = &aside->misses[aside->miss_count++];
	*miss = (struct miss){.jump = emit_jcc(code, 5), .tag = (i32)tag};
	emit_load(code, HOST_ADDRESS,
		place_base(HOST_ADDRESS, (i32) __builtin_offsetof(struct tlb_entry, addend)));
	miss->back = code->at;
	return b->is_32 ? emit_rest_32(b, a) : emit_rest(b, a);
}

_Static_assert(sizeof(struct tlb_entry) == 32, "the check multiplies by shifting");
_Static_assert(TLB_INVALID >= 64 && TLB_INVALID < PAGE_SIZE, "no address to look for is this");

struct place check_operand(
	struct build *b, struct aside *aside, unsigned bytes, bool is_write, bool must_be_aligned)
{
	if (b->stretch.is_active)
		return stretch_operand(b);
	struct address a = address_of(b->insn, b->offset_next);
	return emit_check(b, aside, &a, bytes, is_write, must_be_aligned ? bytes : 1);
}

struct place check_register(struct build *b, struct aside *aside, unsigned guest, i32 displacement,
	unsigned bytes, bool is_write)
{
	if (b->stretch.is_active)
		return stretch_operand(b);
	struct address a = {.base = (u8)guest,
		.index = NO_GUEST,
		.segment = SEGMENT_NONE,
		.displacement = displacement};
	return emit_check(b, aside, &a, bytes, is_write, 1);
}

struct place check_group(struct build *b, struct aside *aside, const struct group *group)
{
	return emit_check(b, aside, &group->address, group->bytes, group->is_write, group->align);
}

struct aside *check_open(struct build *b, enum aside_kind kind)
{
	if (!b->stretch.is_active)
		flags_clobber(b->code, &b->flags);
	return aside_open(b, kind);
}

struct place check_offset(struct build *b, struct aside *aside, unsigned bytes, bool is_write)
{
	struct address a = {.base = NO_GUEST,
		.index = NO_GUEST,
		.segment = segment_of(b->insn),
		.displacement = (i32)b->insn->immediate};
	return emit_check(b, aside, &a, bytes, is_write, 1);
}

/* ---- words of the guest's ------------------------------------------------------------------------ */

void emit_word_lea(struct build *b, unsigned to, struct place place)
{
	emit_op_rm(b->code, 0x8d, !b->is_32, to, place);
}

void emit_word_load(struct build *b, unsigned to, struct place place)
{
	emit_op_rm(b->code, 0x8b, !b->is_32, to, place);
}

void emit_word_store(struct build *b, struct place place, unsigned from)
{
	emit_op_rm(b->code, 0x89, !b->is_32, from, place);
}

/* ---- guest registers ----------------------------------------------------------------------------- */

unsigned register_use(struct build *b, unsigned guest, unsigned scratch)
{
	u8 host = host_register(guest);
	if (host != HOST_NONE)
		return host;
	emit_load(b->code, scratch, slot(guest));
	return scratch;
}

void register_load(struct build *b, unsigned to, unsigned guest)
{
	u8 host = host_register(guest);
	if (to == HOST_ADDRESS)
		stretch_lose_address(b);
	if (host == HOST_NONE)
		emit_load(b->code, to, slot(guest));
	else
		emit_mov(b->code, to, host);
}

void register_store(struct build *b, unsigned guest, unsigned from)
{
	u8 host = host_register(guest);
	if (host == HOST_NONE)
		emit_store(b->code, slot(guest), from);
	else if (host != from)
		emit_mov(b->code, host, from);
}
