/* SPDX-License-Identifier: MIT */
/*
 * ROL, ROR, RCL, RCR, SHL, SHR, SAR by 1, CL and an immediate, SHLD and SHRD. The host's own instruction runs with the
 * guest's flags loaded and the guest's count, so masking, a count of zero (no flag changes) and counts past
 * the width are the processor's. APM volume 3.
 */
#include "x86/execute/operands.h"

#define DEFINE_HOST_SHIFT(name, bits)                                         \
	static always_inline u##bits host_##name##_##bits(                    \
		u##bits value, u8 count, packed_flags *flags)                 \
	{                                                                     \
		__asm__(LOAD_FLAGS #name SUFFIX_##bits " %%cl, %0" SAVE_FLAGS \
			: "+r"(value), "+a"(*flags)                           \
			: "c"(count)                                          \
			: "cc");                                              \
		return value;                                                 \
	}

/* The shifts set all flags unless the count is zero, so that none need be loaded. */
#define DEFINE_HOST_SHIFT_FRESH(name, bits)                        \
	static always_inline u##bits host_##name##_##bits(         \
		u##bits value, u8 count, packed_flags *flags)      \
	{                                                          \
		packed_flags after;                                \
		if (unlikely(!(count & (bits == 64 ? 63 : 31))))   \
			return value;                              \
		__asm__(#name SUFFIX_##bits " %%cl, %0" SAVE_FLAGS \
			: "+r"(value), "=a"(after)                 \
			: "c"(count)                               \
			: "cc");                                   \
		*flags = after;                                    \
		return value;                                      \
	}

#define SHIFT_COUNT_EC (u8) cpu->regs[RCX]
#define SHIFT_COUNT_EI (u8) insn->immediate

#define DEFINE_SHIFT_FORMS(name, bits, kind)                                               \
	HANDLER(name##_##kind##_##bits##_r)                                                \
	{                                                                                  \
		reg_set_##bits(cpu, insn->rm,                                              \
			host_##name##_##bits(rm_get_##bits(cpu, insn), SHIFT_COUNT_##kind, \
				&cpu->arithmetic_flags));                                  \
	}                                                                                  \
	DEFINE_MODIFYING(name##_##kind##_##bits##_m, bits,                                 \
		host_##name##_##bits(value, SHIFT_COUNT_##kind, flags))

#define DEFINE_SHIFT(host, name, bits) \
	host(name, bits) DEFINE_SHIFT_FORMS(name, bits, EC) DEFINE_SHIFT_FORMS(name, bits, EI)

#define DEFINE_SHIFTS(bits)                              \
	DEFINE_SHIFT(DEFINE_HOST_SHIFT, rol, bits)       \
	DEFINE_SHIFT(DEFINE_HOST_SHIFT, ror, bits)       \
	DEFINE_SHIFT(DEFINE_HOST_SHIFT, rcl, bits)       \
	DEFINE_SHIFT(DEFINE_HOST_SHIFT, rcr, bits)       \
	DEFINE_SHIFT(DEFINE_HOST_SHIFT_FRESH, shl, bits) \
	DEFINE_SHIFT(DEFINE_HOST_SHIFT_FRESH, shr, bits) \
	DEFINE_SHIFT(DEFINE_HOST_SHIFT_FRESH, sar, bits)

FOR_SIZES(DEFINE_SHIFTS)

/* ---- SHLD, SHRD ---------------------------------------------------------------------------------- */

#define DEFINE_HOST_DOUBLE(name, bits)                                            \
	static always_inline u##bits host_##name##_##bits(                        \
		u##bits value, u##bits from, u8 count, packed_flags *flags)       \
	{                                                                         \
		__asm__(LOAD_FLAGS #name SUFFIX_##bits " %%cl, %2, %0" SAVE_FLAGS \
			: "+r"(value), "+a"(*flags)                               \
			: "r"(from), "c"(count)                                   \
			: "cc");                                                  \
		return value;                                                     \
	}

#define DEFINE_DOUBLE_FORMS(name, bits, kind, suffix)                               \
	HANDLER(name##_EG##suffix##_##bits##_r)                                     \
	{                                                                           \
		reg_set_##bits(cpu, insn->rm,                                       \
			host_##name##_##bits(rm_get_##bits(cpu, insn),              \
				reg_get_##bits(cpu, insn->reg), SHIFT_COUNT_##kind, \
				&cpu->arithmetic_flags));                           \
	}                                                                           \
	DEFINE_MODIFYING(name##_EG##suffix##_##bits##_m, bits,                      \
		host_##name##_##bits(                                               \
			value, reg_get_##bits(cpu, insn->reg), SHIFT_COUNT_##kind, flags))

#define DEFINE_DOUBLE(name, bits)              \
	DEFINE_HOST_DOUBLE(name, bits)         \
	DEFINE_DOUBLE_FORMS(name, bits, EI, I) \
	DEFINE_DOUBLE_FORMS(name, bits, EC, C)

#define DEFINE_DOUBLES(bits) DEFINE_DOUBLE(shld, bits) DEFINE_DOUBLE(shrd, bits)

FOR_SIZES_V(DEFINE_DOUBLES)
