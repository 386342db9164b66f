/* SPDX-License-Identifier: MIT */
/* Two processors side by side, by the table of what is saved of one. */
#include "base/memory.h"
#include "core/insn_trace.h"
#include "engines/lockstep/lockstep.h"
#include "x86/decode/rows.h"
#include "x86/flags.h"

static bool is_field(const struct state_field *field, u64 offset)
{
	return field->offset == offset;
}

/* What is not the processor's own: signals, and the machine's clock. */
static bool is_ignored(const struct state_field *field)
{
	return is_field(field, offsetof(struct vcpu, cpu.pending)) ||
		is_field(field, offsetof(struct vcpu, cpu.sipi_vector)) ||
		is_field(field, offsetof(struct vcpu, tsc_offset));
}

bool compare_is_flags(const struct state_field *field)
{
	return is_field(field, offsetof(struct vcpu, cpu.arithmetic_flags));
}

static u64 field_bytes(const struct state_field *field)
{
	return (u64)field->size * field->count;
}

void compare_copy_state(struct vcpu *to, const struct vcpu *from)
{
	for (u32 i = 0; i < vcpu_state.field_count; i++) {
		const struct state_field *field = &vcpu_state.fields[i];
		if (!is_ignored(field))
			memcpy((u8 *)to + field->offset, (const u8 *)from + field->offset,
				field_bytes(field));
	}
}

bool compare_field(
	const struct state_field *field, const struct vcpu *a, const struct vcpu *b, u32 *index)
{
	const u8 *in_a = (const u8 *)a + field->offset, *in_b = (const u8 *)b + field->offset;
	u32 element = field->kind == STATE_BYTES ? 1 : field->size;

	if (is_ignored(field) || likely(!memcmp(in_a, in_b, field_bytes(field))))
		return false;
	*index = 0;
	while (!memcmp(in_a + (u64)*index * element, in_b + (u64)*index * element, element))
		++*index;
	return true;
}

const struct state_field *compare_states(
	const struct vcpu *leader, const struct vcpu *follower, u32 *index)
{
	for (u32 i = 0; i < vcpu_state.field_count; i++) {
		if (compare_field(&vcpu_state.fields[i], leader, follower, index))
			return &vcpu_state.fields[i];
	}
	return NULL;
}

/* ---- flags that the manual leaves undefined ----------------------------------------------------------- */

static u32 packed_of(u32 row_flags)
{
	return (row_flags & ROW_FLAG_O ? PACKED_OF : 0) | (row_flags & ROW_FLAG_S ? PACKED_SF : 0) |
		(row_flags & ROW_FLAG_Z ? PACKED_ZF : 0) |
		(row_flags & ROW_FLAG_A ? PACKED_AF : 0) |
		(row_flags & ROW_FLAG_P ? PACKED_PF : 0) | (row_flags & ROW_FLAG_C ? PACKED_CF : 0);
}

/* A count of zero leaves all flags alone, so that what was undefined may be so still. */
static bool row_may_keep(const struct opcode_row *row)
{
	u8 last = row->operand_count ? row->operands[row->operand_count - 1].kind : OPERAND_NONE;
	bool is_double = row->operand_count == 3;
	bool by_count =
		last == OPERAND_CL || (last == OPERAND_I && (row->flags_undefined & ROW_FLAG_O));

	return by_count || (is_double && (row->flags_undefined & ROW_FLAG_O));
}

struct undefined {
	u32 flags; /* packed */
};

static bool before_insn(struct vcpu *vcpu, void *context)
{
	struct undefined *undefined = context;
	struct insn insn;
	u64 linear;

	if (!insn_trace_decode(&vcpu->cpu, &insn, &linear) || insn.row == ROW_INVALID)
		return false;
	const struct opcode_row *row = &opcode_rows[insn.row];
	u32 written = packed_of(row->flags_written), left = packed_of(row->flags_undefined);
	if (!row_may_keep(row))
		undefined->flags &= ~(written & ~left);
	undefined->flags |= left;
	return false;
}

u32 compare_undefined_flags(struct lockstep *lockstep, u64 insns)
{
	struct undefined undefined = {0};
	struct vcpu *vcpu = lockstep->follower.vcpu;

	if (!replay_rewind(lockstep))
		return 0;
	vcpu->before_insn = before_insn;
	vcpu->before_insn_context = &undefined;
	replay_on(&lockstep->follower, insns, false);
	vcpu->before_insn = NULL;
	return undefined.flags;
}
