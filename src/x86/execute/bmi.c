/* SPDX-License-Identifier: MIT */
/* BMI1 and BMI2 but for TZCNT: APM volume 3. The host need not have them: what is not one expression is a loop. */
#include "x86/execute/operands.h"

/* VEX does not exist in real and virtual-8086 mode. */
static always_inline void vex_require(struct cpu *cpu)
{
	if (unlikely(cpu_is_8086(cpu)))
		raise_ud(cpu);
}

/* SF and ZF of a result, with CF; OF clear, and AF and PF, too. */
#define DEFINE_RESULT_FLAGS(bits)                                                         \
	static always_inline packed_flags result_flags_##bits(u##bits result, bool carry) \
	{                                                                                 \
		return (packed_flags)((result ? 0 : PACKED_ZF) |                          \
			((i##bits)result < 0 ? PACKED_SF : 0) | (carry ? PACKED_CF : 0)); \
	}

DEFINE_RESULT_FLAGS(32)
DEFINE_RESULT_FLAGS(64)

/* source: the rm operand; other: vvvv's. `body` has them and puts the result. */
#define DEFINE_BMI(name, bits, body)                                            \
	static always_inline void name##_##bits(                                \
		struct cpu *cpu, const struct insn *insn, u##bits source)       \
	{                                                                       \
		unused u##bits other = reg_get_##bits(cpu, insn->vvvv * 8);     \
		body                                                            \
	}                                                                       \
	HANDLER(name##_##bits)                                                  \
	{                                                                       \
		vex_require(cpu);                                               \
		name##_##bits(cpu, insn,                                        \
			insn->flags &INSN_MEMORY ? memory_get_##bits(cpu, insn) \
						 : rm_get_##bits(cpu, insn));   \
	}

/* BEXTR: start in bits 7-0, length in bits 15-8. */
static always_inline u64 extract_bits(u64 source, u64 control)
{
	unsigned start = control & 0xff, length = control >> 8 & 0xff;

	if (start > 63)
		return 0;
	return length > 63 ? source >> start : source >> start & bits_mask(length);
}

/* To the places that `mask` has, from the lowest on; and back. */
static u64 deposit_bits(u64 source, u64 mask)
{
	u64 result = 0;

	for (; mask; mask &= mask - 1, source >>= 1)
		if (source & 1)
			result |= mask & -mask;
	return result;
}

static u64 gather_bits(u64 source, u64 mask)
{
	u64 result = 0;

	for (u64 bit = 1; mask; mask &= mask - 1, bit <<= 1)
		if (source & mask & -mask)
			result |= bit;
	return result;
}

#define DEFINE_ALL(bits, wide)                                                                   \
	DEFINE_BMI(andn, bits, {                                                                 \
		u##bits result = ~other & source;                                                \
		reg_set_##bits(cpu, insn->reg, result);                                          \
		cpu->arithmetic_flags = result_flags_##bits(result, false);                      \
	})                                                                                       \
	DEFINE_BMI(blsr, bits, {                                                                 \
		u##bits result = source & (source - 1);                                          \
		reg_set_##bits(cpu, insn->vvvv * 8, result);                                     \
		cpu->arithmetic_flags = result_flags_##bits(result, !source);                    \
	})                                                                                       \
	DEFINE_BMI(blsmsk, bits, {                                                               \
		u##bits result = source ^ (source - 1);                                          \
		reg_set_##bits(cpu, insn->vvvv * 8, result);                                     \
		cpu->arithmetic_flags = result_flags_##bits(result, !source);                    \
	})                                                                                       \
	DEFINE_BMI(blsi, bits, {                                                                 \
		u##bits result = source & -source;                                               \
		reg_set_##bits(cpu, insn->vvvv * 8, result);                                     \
		cpu->arithmetic_flags = result_flags_##bits(result, source != 0);                \
	})                                                                                       \
	DEFINE_BMI(bextr, bits, {                                                                \
		u##bits result = (u##bits)extract_bits(source, other);                           \
		reg_set_##bits(cpu, insn->reg, result);                                          \
		cpu->arithmetic_flags = result_flags_##bits(result, false) & ~PACKED_SF;         \
	})                                                                                       \
	DEFINE_BMI(bzhi, bits, {                                                                 \
		unsigned from = (u8)other;                                                       \
		u##bits result = from < bits ? source & (u##bits)bits_mask(from) : source;       \
		reg_set_##bits(cpu, insn->reg, result);                                          \
		cpu->arithmetic_flags = result_flags_##bits(result, from >= bits);               \
	})                                                                                       \
	DEFINE_BMI(pdep, bits,                                                                   \
		{ reg_set_##bits(cpu, insn->reg, (u##bits)deposit_bits(other, source)); })       \
	DEFINE_BMI(pext, bits,                                                                   \
		{ reg_set_##bits(cpu, insn->reg, (u##bits)gather_bits(other, source)); })        \
	DEFINE_BMI(                                                                              \
		shlx, bits, { reg_set_##bits(cpu, insn->reg, source << (other & (bits - 1))); }) \
	DEFINE_BMI(                                                                              \
		shrx, bits, { reg_set_##bits(cpu, insn->reg, source >> (other & (bits - 1))); }) \
	DEFINE_BMI(sarx, bits, {                                                                 \
		reg_set_##bits(                                                                  \
			cpu, insn->reg, (u##bits)((i##bits)source >> (other & (bits - 1))));     \
	})                                                                                       \
	DEFINE_BMI(rorx, bits, {                                                                 \
		unsigned count = insn->immediate & (bits - 1);                                   \
		reg_set_##bits(cpu, insn->reg,                                                   \
			source >> count | source << ((bits - count) & (bits - 1)));              \
	})                                                                                       \
	/* Where both destinations are one register it gets the high half. */                    \
	DEFINE_BMI(mulx, bits, {                                                                 \
		wide product = (wide)reg_get_##bits(cpu, RDX * 8) * source;                      \
		reg_set_##bits(cpu, insn->vvvv * 8, (u##bits)product);                           \
		reg_set_##bits(cpu, insn->reg, (u##bits)(product >> bits));                      \
	})

DEFINE_ALL(32, u64)
DEFINE_ALL(64, u128)
