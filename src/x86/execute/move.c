/* SPDX-License-Identifier: MIT */
/*
 * MOV, MOVZX, MOVSX, MOVSXD, LEA, XLAT, BSWAP, MOVBE, CMOVcc, SETcc, and what does nothing. APM volume 3.
 */
#include "x86/execute/operands.h"

#define DEFINE_MOV(bits)                                                                    \
	HANDLER(mov_EG_##bits##_r)                                                          \
	{                                                                                   \
		reg_set_##bits(cpu, insn->rm, reg_get_##bits(cpu, insn->reg));              \
	}                                                                                   \
	DEFINE_WRITING(mov_EG_##bits##_m, bits, reg_get_##bits(cpu, insn->reg))             \
	HANDLER(mov_GE_##bits##_r)                                                          \
	{                                                                                   \
		reg_set_##bits(cpu, insn->reg, rm_get_##bits(cpu, insn));                   \
	}                                                                                   \
	DEFINE_READING(mov_GE_##bits##_m, bits, reg_set_##bits(cpu, insn->reg, value))      \
	HANDLER(mov_EI_##bits##_r)                                                          \
	{                                                                                   \
		reg_set_##bits(cpu, insn->rm, (u##bits)insn->immediate);                    \
	}                                                                                   \
	DEFINE_WRITING(mov_EI_##bits##_m, bits, (u##bits)insn->immediate)                   \
	HANDLER(mov_RI_##bits)                                                              \
	{                                                                                   \
		reg_set_##bits(cpu, insn->reg, (u##bits)insn->immediate);                   \
	}                                                                                   \
	HANDLER(mov_AO_##bits)                                                              \
	{                                                                                   \
		reg_set_##bits(cpu, RAX * 8,                                                \
			load_##bits(cpu, address_moffs(cpu, insn, bits / 8, ACCESS_READ))); \
	}                                                                                   \
	HANDLER(mov_OA_##bits)                                                              \
	{                                                                                   \
		store_##bits(cpu, address_moffs(cpu, insn, bits / 8, ACCESS_WRITE),         \
			reg_get_##bits(cpu, RAX * 8));                                      \
	}

/* The moffs forms carry a whole address as their immediate. */
static u64 address_moffs(
	struct cpu *cpu, const struct insn *insn, unsigned bytes, enum access_kind kind)
{
	if (likely(insn->flags & INSN_FLAT))
		return insn->immediate + cpu->segments[insn->segment].base;
	return segment_linear(cpu, insn->segment, insn->immediate, bytes, kind);
}

FOR_SIZES(DEFINE_MOV)

/* Widening: `name` to `bits` from `from`. */
#define DEFINE_EXTEND(name, bits, from, signed_from)                                            \
	HANDLER(name##_##bits##_r)                                                              \
	{                                                                                       \
		reg_set_##bits(cpu, insn->reg, (u##bits)(signed_from)rm_get_##from(cpu, insn)); \
	}                                                                                       \
	DEFINE_READING(name##_##bits##_m, from,                                                 \
		reg_set_##bits(cpu, insn->reg, (u##bits)(signed_from)value))

#define DEFINE_EXTENDS(bits)                    \
	DEFINE_EXTEND(movzx_GEb, bits, 8, u8)   \
	DEFINE_EXTEND(movsx_GEb, bits, 8, i8)   \
	DEFINE_EXTEND(movzx_GEw, bits, 16, u16) \
	DEFINE_EXTEND(movsx_GEw, bits, 16, i16)

FOR_SIZES_V(DEFINE_EXTENDS)
DEFINE_EXTEND(movsxd_GE, 16, 16, i16)
DEFINE_EXTEND(movsxd_GE, 32, 32, i32)
DEFINE_EXTEND(movsxd_GE, 64, 32, i32)

#define DEFINE_LEA(bits)                                                               \
	HANDLER(lea_##bits)                                                            \
	{                                                                              \
		reg_set_##bits(cpu, insn->reg, (u##bits)address_effective(cpu, insn)); \
	}

FOR_SIZES_V(DEFINE_LEA)

#define DEFINE_MOVBE(bits)                                                                    \
	HANDLER(movbe_GM_##bits)                                                              \
	{                                                                                     \
		reg_set_##bits(                                                               \
			cpu, insn->reg, __builtin_bswap##bits(memory_get_##bits(cpu, insn))); \
	}                                                                                     \
	HANDLER(movbe_MG_##bits)                                                              \
	{                                                                                     \
		memory_set_##bits(                                                            \
			cpu, insn, __builtin_bswap##bits(reg_get_##bits(cpu, insn->reg)));    \
	}

FOR_SIZES_V(DEFINE_MOVBE)

/* BSWAP of 16 bits is undefined in the manuals; processors clear the register's low half. */
HANDLER(bswap_16)
{
	reg_set_16(cpu, insn->reg, 0);
}

HANDLER(bswap_32)
{
	reg_set_32(cpu, insn->reg, __builtin_bswap32(reg_get_32(cpu, insn->reg)));
}

HANDLER(bswap_64)
{
	reg_set_64(cpu, insn->reg, __builtin_bswap64(reg_get_64(cpu, insn->reg)));
}

/* AL = [rBX + AL]: base and index cannot both be registers of an ordinary operand, since AL is a byte. */
HANDLER(xlat)
{
	u64 offset = cpu->regs[RBX] + (u8)cpu->regs[RAX];
	if (insn->address_size != SIZE_64)
		offset = insn->address_size == SIZE_32 ? (u32)offset : (u16)offset;
	u64 linear = insn->flags & INSN_FLAT
		? offset + cpu->segments[insn->segment].base
		: segment_linear(cpu, insn->segment, offset, 1, ACCESS_READ);
	reg_set_8(cpu, RAX * 8, load_8(cpu, linear));
}

/* ---- by condition -------------------------------------------------------------------------------- */

/* CMOV reads its memory operand, and faults, whatever the condition; 32 bits clear the upper half, too. */
#define DEFINE_CMOV(code, bits)                                                   \
	HANDLER(cmovcc_GE_##code##_##bits##_r)                                    \
	{                                                                         \
		u##bits value = rm_get_##bits(cpu, insn);                         \
		if (!flags_condition(cpu->arithmetic_flags, code))                \
			value = reg_get_##bits(cpu, insn->reg);                   \
		reg_set_##bits(cpu, insn->reg, value);                            \
	}                                                                         \
	DEFINE_READING(cmovcc_GE_##code##_##bits##_m, bits,                       \
		       if (!flags_condition(cpu->arithmetic_flags, code)) value = \
			       reg_get_##bits(cpu, insn->reg);                    \
		       reg_set_##bits(cpu, insn->reg, value))

#define DEFINE_CONDITIONAL(code)                                                        \
	DEFINE_CMOV(code, 16)                                                           \
	DEFINE_CMOV(code, 32)                                                           \
	DEFINE_CMOV(code, 64)                                                           \
	HANDLER(setcc_E_##code##_r)                                                     \
	{                                                                               \
		reg_set_8(cpu, insn->rm, flags_condition(cpu->arithmetic_flags, code)); \
	}                                                                               \
	HANDLER(setcc_E_##code##_m)                                                     \
	{                                                                               \
		memory_set_8(cpu, insn, flags_condition(cpu->arithmetic_flags, code));  \
	}

FOR_CONDITIONS(DEFINE_CONDITIONAL)

/* ---- flags --------------------------------------------------------------------------------------- */

HANDLER(clc)
{
	cpu->arithmetic_flags &= (packed_flags)~PACKED_CF;
}

HANDLER(stc)
{
	cpu->arithmetic_flags |= PACKED_CF;
}

HANDLER(cmc)
{
	cpu->arithmetic_flags ^= PACKED_CF;
}

HANDLER(cld)
{
	cpu->other_flags &= ~(u32)RFLAGS_DF;
}

HANDLER(std)
{
	cpu->other_flags |= RFLAGS_DF;
}

HANDLER(lahf)
{
	reg_set_8(cpu, RAX * 8 + 1, (u8)flags_get(cpu));
}

HANDLER(sahf)
{
	cpu->arithmetic_flags = (packed_flags)((cpu->arithmetic_flags & PACKED_OF) |
		flags_pack(reg_get_8(cpu, RAX * 8 + 1)));
}

HANDLER(nop) {}

HANDLER(pause)
{
	cpu->environment->pause(cpu);
}
