/* SPDX-License-Identifier: MIT */
/*
 * Guest flags in two halves. The arithmetic ones live in the form in which the host's LAHF and SETO leave them
 * (packed_flags): guest and host are the same instruction set, so the host's own ALU computes them, and undefined
 * ones are whatever it makes of them. The rest live in cpu->other_flags in RFLAGS' layout.
 */
#ifndef X86_FLAGS_H
#define X86_FLAGS_H

#include "x86/cpu.h"

/* What other_flags may hold. */
#define RFLAGS_WRITABLE_OTHER                                                            \
	((u32)(RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | \
		RFLAGS_VM | RFLAGS_AC | RFLAGS_VIF | RFLAGS_VIP | RFLAGS_ID))

#define PACKED_OF ((packed_flags)0x0001)
#define PACKED_CF ((packed_flags)0x0100)
#define PACKED_PF ((packed_flags)0x0400)
#define PACKED_AF ((packed_flags)0x1000)
#define PACKED_ZF ((packed_flags)0x4000)
#define PACKED_SF ((packed_flags)0x8000)
#define PACKED_ALL (PACKED_OF | PACKED_CF | PACKED_PF | PACKED_AF | PACKED_ZF | PACKED_SF)

static always_inline u64 flags_unpack(packed_flags packed)
{
	return ((packed >> 8) & (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF)) |
		(u64)(packed & 1) << 11;
}

static always_inline packed_flags flags_pack(u64 rflags)
{
	return (packed_flags)((rflags & 0xd5) << 8 | ((rflags >> 11) & 1));
}

/* RFLAGS as PUSHF stores it. */
static always_inline u64 flags_get(const struct cpu *cpu)
{
	return flags_unpack(cpu->arithmetic_flags) | cpu->other_flags;
}

/* All of RFLAGS; the caller has applied what may change, and calls cpu_mode_changed if AC or VM did. */
static always_inline void flags_set(struct cpu *cpu, u64 rflags)
{
	cpu->arithmetic_flags = flags_pack(rflags);
	cpu->other_flags = ((u32)rflags & RFLAGS_WRITABLE_OTHER) | RFLAGS_FIXED;
}

/* Condition code 0-15 of Jcc, SETcc, CMOVcc, in the encoding's order. A constant folds to a bit test or two. */
static always_inline bool flags_condition(packed_flags f, unsigned code)
{
	bool result;
	switch (code >> 1) {
	case 0:
		result = f & PACKED_OF;
		break;
	case 1:
		result = f & PACKED_CF;
		break;
	case 2:
		result = f & PACKED_ZF;
		break;
	case 3:
		result = f & (PACKED_CF | PACKED_ZF);
		break;
	case 4:
		result = f & PACKED_SF;
		break;
	case 5:
		result = f & PACKED_PF;
		break;
	case 6:
		result = ((f >> 15) ^ f) & 1;
		break;
	default:
		result = (((f >> 15) ^ f) & 1) || (f & PACKED_ZF);
		break;
	}
	return result ^ (code & 1);
}

#endif
