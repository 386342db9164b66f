/* SPDX-License-Identifier: MIT */
#include "base/memory.h"
#include "x86/environment.h"
#include "x86/model.h"
#include "x86/paging.h"

enum msr_rule { KEEP, CANONICAL, FIXED, IGNORE, CALL };

static const struct msr_row {
	u32 first, last;
	const char *name;
	u16 field; /* offset in struct msr_state */
	u8 rule;
	u64 mask;
} rows[] = {
#define MSR(first, last, name, rule, field, mask) \
	{first, last, name, offsetof(struct msr_state, field), rule, mask},
#include "x86/msr.def"
#undef MSR
};

enum msr_index {
	MSR_TSC = 0x10,
	MSR_TSC_ADJUST = 0x3b,
	MSR_PATCH_LEVEL = 0x8b,
	MSR_MTRR_BASE_0 = 0x200,
	MSR_MTRR_64K = 0x250,
	MSR_MTRR_16K = 0x258,
	MSR_MTRR_4K = 0x268,
	MSR_PAT = 0x277,
	MSR_MTRR_DEF_TYPE = 0x2ff,
	MSR_MC_BANKS = 0x400,
};
#define MSR_EFER 0xc0000080u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u

#define PAT_RESET 0x0007040600070406u

static const struct msr_row *row_find(u32 index)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		if (index >= rows[i].first && index <= rows[i].last)
			return &rows[i];
	return NULL;
}

static u64 *row_field(struct cpu *cpu, const struct msr_row *row, u32 index)
{
	return (u64 *)((u8 *)&cpu->msrs + row->field) + (index - row->first);
}

void msr_reset(struct cpu *cpu)
{
	memset(&cpu->msrs, 0, sizeof(cpu->msrs));
	cpu->msrs.pat = PAT_RESET;
	cpu->msrs.hwcr = BIT(24); /* the TSC counts at the base frequency */
	cpu->msrs.patch_level = 0x02000032;
}

/* ---- memory types: APM volume 2, 7.7 and 7.8 ---- */

/* UC, WC, WT, WP, WB; PAT also has UC-. */
static bool type_is_valid(unsigned type, bool in_pat)
{
	return type <= 1 || (type >= 4 && type <= 6) || (in_pat && type == 7);
}

static bool types_are_valid(u64 value, bool in_pat)
{
	for (unsigned i = 0; i < 8; i++)
		if (!type_is_valid((unsigned)bits_get(value, 8 * i, 8), in_pat))
			return false;
	return true;
}

static u64 *mtrr_variable(struct cpu *cpu, u32 index)
{
	unsigned i = (index - MSR_MTRR_BASE_0) / 2;
	return index & 1 ? &cpu->msrs.mtrr_mask[i] : &cpu->msrs.mtrr_base[i];
}

static u64 *mtrr_fixed(struct cpu *cpu, u32 index)
{
	unsigned i = index == MSR_MTRR_64K ? 0
		: index < MSR_MTRR_4K	   ? 1 + index - MSR_MTRR_16K
					   : 3 + index - MSR_MTRR_4K;
	return &cpu->msrs.mtrr_fixed[i];
}

static bool mtrr_variable_write(struct cpu *cpu, u32 index, u64 value)
{
	u64 address = cpu->physical_mask & PAGE_MASK;
	bool is_mask = index & 1;
	if (value & ~(address | (is_mask ? BIT(11) : 0xff)))
		return false;
	if (!is_mask && !type_is_valid(value & 0xff, false))
		return false;
	*mtrr_variable(cpu, index) = value;
	return true;
}

static bool mtrr_def_type_write(struct cpu *cpu, u64 value)
{
	if ((value & ~(u64)0xcff) || !type_is_valid(value & 0xff, false))
		return false;
	cpu->msrs.mtrr_def_type = value;
	return true;
}

static bool checked_types_write(u64 *field, u64 value, bool in_pat)
{
	if (!types_are_valid(value, in_pat))
		return false;
	*field = value;
	return true;
}

/* ---- machine check banks: control is kept; status, address and misc are always zero ---- */

static bool mc_bank_write(struct cpu *cpu, u32 index, u64 value)
{
	u32 offset = index - MSR_MC_BANKS;
	if (offset % 4)
		return value == 0;
	cpu->msrs.mc_ctl[offset / 4] = value;
	return true;
}

/* ---- the ones with functions ---- */

static u64 call_read(struct cpu *cpu, u32 index)
{
	switch (index) {
	case MSR_TSC:
		return cpu->environment->tsc_read(cpu);
	case MSR_TSC_ADJUST:
		return cpu->msrs.tsc_adjust;
	case MSR_PATCH_LEVEL:
		return cpu->msrs.patch_level;
	case MSR_PAT:
		return cpu->msrs.pat;
	case MSR_MTRR_DEF_TYPE:
		return cpu->msrs.mtrr_def_type;
	case MSR_EFER:
		return cpu->efer;
	case MSR_FS_BASE:
		return cpu->segments[SEGMENT_FS].base;
	case MSR_GS_BASE:
		return cpu->segments[SEGMENT_GS].base;
	}
	if (index >= MSR_MC_BANKS)
		return index % 4 ? 0 : cpu->msrs.mc_ctl[(index - MSR_MC_BANKS) / 4];
	return index < MSR_MTRR_64K ? *mtrr_variable(cpu, index) : *mtrr_fixed(cpu, index);
}

static void tsc_move(struct cpu *cpu, u64 by)
{
	cpu->environment->tsc_move(cpu, by);
	cpu->msrs.tsc_adjust += by;
}

static bool call_write(struct cpu *cpu, u32 index, u64 value)
{
	switch (index) {
	case MSR_TSC:
		tsc_move(cpu, value - cpu->environment->tsc_read(cpu));
		return true;
	case MSR_TSC_ADJUST:
		tsc_move(cpu, value - cpu->msrs.tsc_adjust);
		return true;
	case MSR_PATCH_LEVEL:
		return true;
	case MSR_PAT:
		return checked_types_write(&cpu->msrs.pat, value, true);
	case MSR_MTRR_DEF_TYPE:
		return mtrr_def_type_write(cpu, value);
	case MSR_EFER:
		if (!control_efer_allows(cpu, value))
			return false;
		control_set_efer(cpu, value);
		return true;
	case MSR_FS_BASE:
	case MSR_GS_BASE:
		if (!address_is_canonical(value))
			return false;
		cpu->segments[index == MSR_FS_BASE ? SEGMENT_FS : SEGMENT_GS].base = value;
		return true;
	}
	if (index >= MSR_MC_BANKS)
		return mc_bank_write(cpu, index, value);
	if (index < MSR_MTRR_64K)
		return mtrr_variable_write(cpu, index, value);
	return checked_types_write(mtrr_fixed(cpu, index), value, false);
}

bool msr_read(struct cpu *cpu, u32 index, u64 *value)
{
	const struct msr_row *row = row_find(index);
	if (!row)
		return cpu->environment->msr_read(cpu, index, value);
	switch (row->rule) {
	case KEEP:
	case CANONICAL:
		*value = *row_field(cpu, row, index);
		break;
	case FIXED:
	case IGNORE:
		*value = row->mask;
		break;
	default:
		*value = call_read(cpu, index);
		break;
	}
	return true;
}

bool msr_write(struct cpu *cpu, u32 index, u64 value)
{
	const struct msr_row *row = row_find(index);
	if (!row)
		return cpu->environment->msr_write(cpu, index, value);
	switch (row->rule) {
	case FIXED:
		return false;
	case IGNORE:
		return true;
	case CALL:
		return call_write(cpu, index, value);
	}
	if (row->rule == KEEP ? (value & ~row->mask) != 0 : !address_is_canonical(value))
		return false;
	*row_field(cpu, row, index) = value;
	return true;
}
