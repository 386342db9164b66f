/* SPDX-License-Identifier: MIT */
/* Which instructions make a stretch: their addresses in terms of what the registers are when it begins. */
#include "base/memory.h"
#include "engines/translator/stretch.h"
#include "x86/decode/rows.h"

#define STRETCH_MAX 32	   /* instructions */
#define LOOP_MAX 48	   /* of all rounds */
#define FAR_AWAY (1 << 28) /* sums stay below 2^31 */

/* A guest register's value: what one was when the stretch began, and a constant. */
struct origin {
	u8 guest; /* or NO_GUEST: anything */
	i32 delta;
};

struct plan {
	struct stretch *stretch;
	struct origin origins[16];
	i32 span;
	u8 group_count;
	u8 fpu;
};

/* An instruction's access. */
struct use {
	struct address address;
	struct copied copied;
	bool is_last; /* and nothing follows the instruction */
};

static bool is_general(u8 location)
{
	return location < 16 * 8 && !(location & 7);
}

/* ---- what an instruction accesses ---------------------------------------------------------------- */

static void use_stack(struct use *use, unsigned base, i32 displacement, bool is_write, bool is_last)
{
	use->address = (struct address){.base = (u8)base,
		.index = NO_GUEST,
		.segment = SEGMENT_NONE,
		.displacement = displacement};
	use->copied = (struct copied){.bytes = 8, .align = 1, .is_write = is_write};
	use->is_last = is_last;
}

static bool use_indirect(struct use *use, const struct insn *insn, u32 offset_next)
{
	bool is_memory = insn->flags & INSN_MEMORY;
	unsigned group = insn->modrm >> 3 & 7;
	if (group == 2 && !is_memory) {
		use_stack(use, RSP, -8, true, true);
		return true;
	}
	if (group != 4 || !is_memory || !(insn->flags & INSN_FLAT))
		return false;
	use_stack(use, 0, 0, false, true);
	use->address = address_of(insn, offset_next);
	return true;
}

/* Stack instructions and branches of 64 bits. RSP itself is pushed and popped alone. */
static bool use_rewritten(
	struct use *use, const struct insn *insn, const struct opcode_row *row, u32 offset_next)
{
	if (row->map != 0 || insn->operand_size != SIZE_64)
		return false;
	switch (insn->opcode) {
	case 0x50 ... 0x57:
		use_stack(use, RSP, -8, true, false);
		return insn->reg != RSP * 8;
	case 0x58 ... 0x5f:
		use_stack(use, RSP, 0, false, false);
		return insn->reg != RSP * 8;
	case 0x68:
	case 0x6a:
		use_stack(use, RSP, -8, true, false);
		return true;
	case 0xc9:
		use_stack(use, RBP, 0, false, false);
		return true;
	case 0xc2:
	case 0xc3:
		use_stack(use, RSP, 0, false, true);
		return true;
	case 0xe8:
		use_stack(use, RSP, -8, true, true);
		return true;
	case 0xff:
		return use_indirect(use, insn, offset_next);
	}
	return false;
}

/* Of the other instructions with a memory operand those that only compute with its address, or do nothing. */
static bool is_without_access(const struct insn *insn, const struct opcode_row *row)
{
	if (row->map == 0)
		return insn->opcode == 0x8d;
	return row->map == 1 && (insn->opcode == 0x0d || (insn->opcode & 0xf8) == 0x18);
}

/* False: not for a stretch. copied.bytes stays 0 where memory is not accessed. */
static bool use_get(struct use *use, const struct insn *insn, u32 offset_next)
{
	if (insn->row == ROW_INVALID)
		return false;
	const struct opcode_row *row = &opcode_rows[insn->row];
	memset(use, 0, sizeof(*use));
	if (row->class == ROW_CLASS_REWRITE)
		return use_rewritten(use, insn, row, offset_next);
	if (row->class != ROW_CLASS_COPY || row->attributes & ROW_FPU ||
		insn->flags & (INSN_LOCK | INSN_ENDS_BLOCK))
		return false;
	if (copied_get(&use->copied, insn)) {
		if (use->copied.bytes)
			use->address = address_of(insn, offset_next);
		/* XCHG locks. */
		return !use->copied.bytes || row->map != 0 || (insn->opcode & 0xfe) != 0x86;
	}
	if (insn->flags & INSN_MEMORY)
		return is_without_access(insn, row);
	return !(row->attributes & ROW_SIMD);
}

/* ---- what it makes of the registers -------------------------------------------------------------- */

static void lose(struct plan *plan, unsigned guest)
{
	plan->origins[guest & 15].guest = NO_GUEST;
}

static void set(struct plan *plan, unsigned guest, struct origin value, i64 more)
{
	i64 delta = value.delta + more;
	if (delta < -FAR_AWAY || delta > FAR_AWAY)
		value.guest = NO_GUEST;
	value.delta = (i32)delta;
	plan->origins[guest] = value;
}

static void move(struct plan *plan, unsigned guest, i64 by)
{
	set(plan, guest, plan->origins[guest], by);
}

static void lose_written(struct plan *plan, const struct insn *insn, const struct opcode_row *row)
{
	for (unsigned i = 0; i < row->operand_count; i++) {
		if (!(row->operands[i].access & ACCESS_W))
			continue;
		switch (row->operands[i].kind) {
		case OPERAND_E:
		case OPERAND_R:
			if (!(insn->flags & INSN_MEMORY))
				lose(plan, insn->rm >> 3);
			break;
		case OPERAND_G:
		case OPERAND_Z:
			lose(plan, insn->reg >> 3);
			break;
		case OPERAND_K:
			lose(plan, insn->vvvv);
			break;
		case OPERAND_AL ... OPERAND_RAX:
			lose(plan, RAX);
			break;
		}
	}
}

/* Multiplications and sign extensions. */
static void lose_implied(struct plan *plan, const struct insn *insn, const struct opcode_row *row)
{
	unsigned opcode = insn->opcode;
	bool is_product = (opcode & 0xfe) == 0xf6 && (insn->modrm & 0x38) >= 4 << 3;
	if (row->map == 0 && (opcode == 0x98 || opcode == 0x99 || is_product)) {
		lose(plan, RAX);
		lose(plan, RDX);
	}
	if (row->map == 1 && (opcode & 0xfe) == 0xb0)
		lose(plan, RAX);
}

static void note_lea(struct plan *plan, const struct insn *insn)
{
	if (insn->flags & INSN_FLAT && is_general(insn->base) && insn->index == LOCATION_ZERO)
		set(plan, insn->reg >> 3, plan->origins[insn->base >> 3], insn->displacement);
	else
		lose(plan, insn->reg >> 3);
}

/* Instructions of 64 bits that give a register a value that is known all the same. */
static bool note_known(struct plan *plan, const struct insn *insn)
{
	unsigned group = insn->modrm >> 3 & 7;
	i64 immediate = (i64)insn->immediate;
	bool is_register = !(insn->flags & INSN_MEMORY);
	switch (insn->opcode) {
	case 0x50 ... 0x57:
	case 0x68:
	case 0x6a:
		move(plan, RSP, -8);
		return true;
	case 0x58 ... 0x5f:
		move(plan, RSP, 8);
		lose(plan, insn->reg >> 3);
		return true;
	case 0xc9:
		set(plan, RSP, plan->origins[RBP], 8);
		lose(plan, RBP);
		return true;
	case 0x05:
	case 0x2d:
		move(plan, RAX, insn->opcode == 0x05 ? immediate : -immediate);
		return true;
	case 0x81:
	case 0x83:
		if (is_register && (group == 0 || group == 5))
			move(plan, insn->rm >> 3, group ? -immediate : immediate);
		return is_register && (group == 0 || group == 5);
	case 0xff:
		if (is_register && group < 2)
			move(plan, insn->rm >> 3, group ? -1 : 1);
		return is_register && group < 2;
	case 0x89:
		if (is_register)
			set(plan, insn->rm >> 3, plan->origins[insn->reg >> 3], 0);
		return is_register;
	case 0x8b:
		if (is_register)
			set(plan, insn->reg >> 3, plan->origins[insn->rm >> 3], 0);
		return is_register;
	case 0x8d:
		note_lea(plan, insn);
		return true;
	}
	return false;
}

static void note_effects(struct plan *plan, const struct insn *insn)
{
	const struct opcode_row *row = &opcode_rows[insn->row];
	if (row->map == 0 && insn->operand_size == SIZE_64 && note_known(plan, insn))
		return;
	lose_written(plan, insn, row);
	lose_implied(plan, insn, row);
}

/* ---- groups -------------------------------------------------------------------------------------- */

/* In registers as they were at the beginning; false: that cannot be said. */
static bool resolve(const struct plan *plan, struct address *address)
{
	i64 displacement = address->displacement;
	if (address->base != NO_GUEST) {
		struct origin origin = plan->origins[address->base];
		if (origin.guest == NO_GUEST)
			return false;
		address->base = origin.guest;
		displacement += origin.delta;
	}
	if (address->index != NO_GUEST) {
		struct origin origin = plan->origins[address->index];
		if (origin.guest == NO_GUEST)
			return false;
		address->index = origin.guest;
		displacement += (i64)origin.delta << address->scale;
	}
	address->displacement = (i32)displacement;
	return displacement > -FAR_AWAY && displacement < FAR_AWAY;
}

static bool is_same(const struct address *a, const struct address *b)
{
	return a->base == b->base && a->index == b->index &&
		(a->index == NO_GUEST || a->scale == b->scale) && a->is_rip == b->is_rip &&
		a->segment == b->segment;
}

/* One check for the group and it? */
static bool fits(const struct group *group, const struct use *use, i32 span)
{
	i32 at = use->address.displacement, align = use->copied.align;
	if (!is_same(&group->address, &use->address))
		return false;
	if (align > 1 && group->align > 1 &&
		(align != group->align || (at - group->aligned) % align))
		return false;
	i32 first = MIN(at, group->address.displacement),
	    end = MAX(at + use->copied.bytes, group->end);
	return end - first <= span;
}

static void join(struct group *group, const struct use *use)
{
	i32 at = use->address.displacement;
	group->address.displacement = MIN(at, group->address.displacement);
	group->end = MAX(at + use->copied.bytes, group->end);
	group->is_write |= use->copied.is_write;
	if (use->copied.align > 1) {
		group->align = use->copied.align;
		group->aligned = at;
	}
	group->count++;
}

/* NO_GROUP: there are too many. */
static u8 group_get(struct plan *plan, const struct use *use)
{
	struct group *groups = plan->stretch->groups;
	for (u8 i = 0; i < plan->group_count; i++)
		if (fits(&groups[i], use, plan->span))
			return i;
	if (plan->group_count == PLACES)
		return NO_GROUP;
	groups[plan->group_count] = (struct group){
		.address = use->address, .end = use->address.displacement, .align = 1};
	return plan->group_count++;
}

/* Whole units where some must be aligned: as those are, the first byte's and the last one's. */
static void group_finish(struct group *group)
{
	i32 align = group->align, first = group->address.displacement;
	first -= ((first - group->aligned) % align + align) % align;
	i32 beyond = ((group->end - group->aligned) % align + align) % align;
	group->address.displacement = first;
	group->bytes = (u16)(group->end + (beyond ? align - beyond : 0) - first);
}

/* Which groups are returned to after another one. */
static void note_later(struct stretch *stretch)
{
	u8 held = NO_GROUP;
	for (unsigned i = 0; i < stretch->group_count; i++)
		stretch->groups[i].is_used_later = stretch->keeps_all;
	for (u32 i = 0; i < stretch->count * stretch->rounds; i++) {
		if (stretch->group[i] == NO_GROUP || stretch->group[i] == held)
			continue;
		stretch->groups[stretch->group[i]].is_used_later |= held != NO_GROUP;
		held = stretch->group[i];
	}
}

/* ---- all of it ----------------------------------------------------------------------------------- */

static void plan_begin(struct plan *plan, struct stretch *stretch, i32 span)
{
	memset(plan, 0, sizeof(*plan));
	plan->stretch = stretch;
	plan->span = span;
	for (u8 guest = 0; guest < 16; guest++)
		plan->origins[guest] = (struct origin){.guest = guest};
	stretch->count = 0;
	stretch->rounds = 1;
}

/* One instruction more; false: it does not belong to the stretch. */
static bool plan_add(
	struct plan *plan, const struct insn *insn, u32 position, u32 offset_next, struct use *use)
{
	struct stretch *stretch = plan->stretch;
	if (!use_get(use, insn, offset_next))
		return false;
	plan->fpu |= use->copied.fpu;
	stretch->group[position] = NO_GROUP;
	if (!use->copied.bytes)
		return true;
	u8 group = resolve(plan, &use->address) ? group_get(plan, use) : NO_GROUP;
	if (group == NO_GROUP)
		return false;
	stretch->group[position] = group;
	stretch->displacement[position] = use->address.displacement;
	join(&stretch->groups[group], use);
	return true;
}

/* So far it goes. */
static void plan_extend(const struct plan *plan, u32 count)
{
	plan->stretch->count = count;
	plan->stretch->group_count = plan->group_count;
	plan->stretch->fpu = plan->fpu;
}

static void plan_finish(struct stretch *stretch)
{
	for (unsigned i = 0; i < stretch->group_count; i++)
		group_finish(&stretch->groups[i]);
	note_later(stretch);
}

bool stretch_plan(
	struct stretch *stretch, const struct block *block, u32 begin, u32 offset_next, u32 limit)
{
	struct plan plan;
	struct use use;
	u32 most = MIN(MIN(block->count, limit) - begin, (u32)STRETCH_MAX);
	plan_begin(&plan, stretch, GROUP_SPAN);
	for (u32 i = 0; i < most; i++) {
		const struct insn *insn = &block->insns[begin + i];
		offset_next += i ? insn->length : 0;
		if (!plan_add(&plan, insn, i, offset_next, &use) || stretch->group[0] == NO_GROUP)
			break;
		/* It ends behind the last access that another one's check is good for. */
		if (use.copied.bytes && stretch->groups[stretch->group[i]].count > 1)
			plan_extend(&plan, i + 1);
		if (use.is_last)
			break;
		note_effects(&plan, insn);
	}
	if (!stretch->count || stretch->groups[stretch->group[0]].count < 2)
		return false;
	plan_finish(stretch);
	return true;
}

/* ---- loops --------------------------------------------------------------------------------------- */

static bool is_jcc(const struct insn *insn)
{
	const struct opcode_row *row = &opcode_rows[insn->row];
	if (insn->row == ROW_INVALID || insn->operand_size != SIZE_64)
		return false;
	return row->map == 0 ? (insn->opcode & 0xf0) == 0x70
			     : row->map == 1 && (insn->opcode & 0xf0) == 0x80;
}

/* A conditional jump to the block's own beginning ends it. */
static bool is_loop(const struct block *block)
{
	const struct insn *last = &block->insns[block->count - 1];
	return block->count > 1 && is_jcc(last) && last->immediate + block->bytes == 0;
}

static bool plan_rounds(struct stretch *stretch, const struct block *block, u32 rounds)
{
	struct plan plan;
	struct use use;
	u32 count = block->count - 1, position = 0;
	plan_begin(&plan, stretch, GROUP_SPAN_LOOP);
	for (u32 round = 0; round < rounds; round++) {
		u32 offset_next = block->offset;
		for (u32 i = 0; i < count; i++) {
			offset_next += block->insns[i].length;
			if (!plan_add(&plan, &block->insns[i], position++, offset_next, &use))
				return false;
			note_effects(&plan, &block->insns[i]);
		}
	}
	plan_extend(&plan, count);
	stretch->rounds = rounds;
	plan_finish(stretch);
	return plan.group_count;
}

bool stretch_plan_loop(struct stretch *stretch, const struct block *block)
{
	if (!is_loop(block))
		return false;
	for (u32 rounds = ROUNDS_MAX; rounds > 1; rounds /= 2)
		if (rounds * (block->count - 1) <= LOOP_MAX && plan_rounds(stretch, block, rounds))
			return true;
	return false;
}
