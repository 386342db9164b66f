/* SPDX-License-Identifier: MIT */
/*
 * MUL, IMUL, DIV, IDIV by the host's instructions; what would raise #DE is found before. APM volume 3.
 */
#include "x86/execute/operands.h"

/* ---- multiplication ------------------------------------------------------------------------------ */

/* low * factor = high:low. */
#define DEFINE_HOST_MULTIPLY(name, bits)                                          \
	static always_inline void host_##name##_##bits(                           \
		u##bits *low, u##bits *high, u##bits factor, packed_flags *flags) \
	{                                                                         \
		u64 a = *low;                                                     \
		u64 result;                                                       \
		__asm__(#name SUFFIX_##bits " %3\n\tmovq %%rax, %1" SAVE_FLAGS    \
			: "+a"(a), "=&r"(result), "=d"(*high)                     \
			: "r"(factor)                                             \
			: "cc");                                                  \
		*low = (u##bits)result;                                           \
		*flags = (packed_flags)a;                                         \
	}

#define DEFINE_MULTIPLY_FORM(name, bits, form, source)                                        \
	HANDLER(name##_E_##bits##_##form)                                                     \
	{                                                                                     \
		u##bits low = reg_get_##bits(cpu, RAX * 8);                                   \
		u##bits high;                                                                 \
		host_##name##_##bits(&low, &high, source(cpu, insn), &cpu->arithmetic_flags); \
		reg_set_##bits(cpu, RAX * 8, low);                                            \
		reg_set_##bits(cpu, RDX * 8, high);                                           \
	}

#define DEFINE_MULTIPLY(name, bits)                        \
	DEFINE_HOST_MULTIPLY(name, bits)                   \
	DEFINE_MULTIPLY_FORM(name, bits, r, rm_get_##bits) \
	DEFINE_MULTIPLY_FORM(name, bits, m, memory_get_##bits)

#define DEFINE_MULTIPLIES(bits) DEFINE_MULTIPLY(mul, bits) DEFINE_MULTIPLY(imul, bits)

FOR_SIZES_V(DEFINE_MULTIPLIES)

/*
 * What takes a byte and is done in AX; no_fault(AX, byte) says before whether it may be done. flags: of the guest's, those before and
 * those that the host has now, the ones that it has.
 */
#define DEFINE_IN_AX(name, no_fault, flags)                                            \
	static always_inline void in_ax_##name(struct cpu *cpu, u8 source)             \
	{                                                                              \
		u64 a = (u16)cpu->regs[RAX];                                           \
		u64 result;                                                            \
		if (unlikely(!no_fault((u16)a, source)))                               \
			raise_exception(cpu, EXCEPTION_DE);                            \
		__asm__(#name "b %2\n\tmovq %%rax, %1" SAVE_FLAGS                      \
			: "+a"(a), "=&r"(result)                                       \
			: "r"(source)                                                  \
			: "cc");                                                       \
		reg_set_16(cpu, RAX * 8, (u16)result);                                 \
		cpu->arithmetic_flags = flags(cpu->arithmetic_flags, (packed_flags)a); \
	}                                                                              \
	HANDLER(name##_E_8_r)                                                          \
	{                                                                              \
		in_ax_##name(cpu, rm_get_8(cpu, insn));                                \
	}                                                                              \
	HANDLER(name##_E_8_m)                                                          \
	{                                                                              \
		in_ax_##name(cpu, memory_get_8(cpu, insn));                            \
	}

/* Bytes: AX = AL * source. */
#define ALWAYS_FITS(a, source) true
#define FLAGS_AFTER(before, after) (after)
#define FLAGS_BEFORE(before, after) (before)

DEFINE_IN_AX(mul, ALWAYS_FITS, FLAGS_AFTER)
DEFINE_IN_AX(imul, ALWAYS_FITS, FLAGS_AFTER)

#define DEFINE_IMUL(bits)                                                                         \
	static always_inline u##bits host_imul2_##bits(u##bits a, u##bits b, packed_flags *flags) \
	{                                                                                         \
		packed_flags after;                                                               \
		__asm__("imul" SUFFIX_##bits " %2, %0" SAVE_FLAGS                                 \
			: "+r"(a), "=a"(after)                                                    \
			: "r"(b)                                                                  \
			: "cc");                                                                  \
		*flags = after;                                                                   \
		return a;                                                                         \
	}                                                                                         \
	HANDLER(imul_GE_##bits##_r)                                                               \
	{                                                                                         \
		reg_set_##bits(cpu, insn->reg,                                                    \
			host_imul2_##bits(reg_get_##bits(cpu, insn->reg),                         \
				rm_get_##bits(cpu, insn), &cpu->arithmetic_flags));               \
	}                                                                                         \
	DEFINE_READING(imul_GE_##bits##_m, bits,                                                  \
		reg_set_##bits(cpu, insn->reg,                                                    \
			host_imul2_##bits(                                                        \
				reg_get_##bits(cpu, insn->reg), value, &cpu->arithmetic_flags)))  \
	HANDLER(imul_GEI_##bits##_r)                                                              \
	{                                                                                         \
		reg_set_##bits(cpu, insn->reg,                                                    \
			host_imul2_##bits(rm_get_##bits(cpu, insn), (u##bits)insn->immediate,     \
				&cpu->arithmetic_flags));                                         \
	}                                                                                         \
	HANDLER(imul_GEI_##bits##_m)                                                              \
	{                                                                                         \
		u##bits value = memory_get_##bits(cpu, insn);                                     \
		reg_set_##bits(cpu, insn->reg,                                                    \
			host_imul2_##bits(                                                        \
				value, (u##bits)insn->immediate, &cpu->arithmetic_flags));        \
	}

FOR_SIZES_V(DEFINE_IMUL)

/* ---- division ------------------------------------------------------------------------------------ */

/*
 * high:low / divisor: the quotient in *low, the remainder in *high; it must fit. The flags are undefined afterwards: they stay, as on
 * processors of today, and not what something else left in the host's.
 */
#define DEFINE_HOST_DIVIDE(name, bits)                        \
	static always_inline void host_##name##_##bits(       \
		u##bits *low, u##bits *high, u##bits divisor) \
	{                                                     \
		__asm__(#name SUFFIX_##bits " %2"             \
			: "+a"(*low), "+d"(*high)             \
			: "r"(divisor)                        \
			: "cc");                              \
	}

/* An unsigned quotient fits if the high half is less than the divisor (zero included). */
#define DEFINE_DIVIDE_FITS(bits)                                                                    \
	static always_inline bool div_fits_##bits(u##bits low, u##bits high, u##bits divisor)       \
	{                                                                                           \
		return high < divisor;                                                              \
	}                                                                                           \
	/* A signed one if its magnitude does, and leaves the sign's bit: 2^(n-1) only negative. */ \
	static bool idiv_fits_##bits(u##bits low, u##bits high, u##bits divisor)                    \
	{                                                                                           \
		bool negative = high >> (bits - 1), divisor_negative = divisor >> (bits - 1);       \
		u##bits magnitude = divisor_negative ? (u##bits) - divisor : divisor;               \
		if (negative) {                                                                     \
			low = (u##bits) - low;                                                      \
			high = (u##bits)(~high + (low == 0));                                       \
		}                                                                                   \
		if (high >= magnitude)                                                              \
			return false;                                                               \
		host_div_##bits(&low, &high, magnitude);                                            \
		return low <= (u##bits)((((u##bits)1 << (bits - 1)) - 1) +                          \
				      (negative != divisor_negative));                              \
	}

#define DEFINE_DIVIDE(name, bits)                                                          \
	static always_inline void divide_##name##_##bits(struct cpu *cpu, u##bits divisor) \
	{                                                                                  \
		u##bits low = reg_get_##bits(cpu, RAX * 8);                                \
		u##bits high = reg_get_##bits(cpu, RDX * 8);                               \
		if (unlikely(!name##_fits_##bits(low, high, divisor)))                     \
			raise_exception(cpu, EXCEPTION_DE);                                \
		host_##name##_##bits(&low, &high, divisor);                                \
		reg_set_##bits(cpu, RAX * 8, low);                                         \
		reg_set_##bits(cpu, RDX * 8, high);                                        \
	}                                                                                  \
	HANDLER(name##_E_##bits##_r)                                                       \
	{                                                                                  \
		divide_##name##_##bits(cpu, rm_get_##bits(cpu, insn));                     \
	}                                                                                  \
	HANDLER(name##_E_##bits##_m)                                                       \
	{                                                                                  \
		divide_##name##_##bits(cpu, memory_get_##bits(cpu, insn));                 \
	}

#define DEFINE_DIVIDES(bits)           \
	DEFINE_HOST_DIVIDE(div, bits)  \
	DEFINE_HOST_DIVIDE(idiv, bits) \
	DEFINE_DIVIDE_FITS(bits)       \
	DEFINE_DIVIDE(div, bits)       \
	DEFINE_DIVIDE(idiv, bits)

FOR_SIZES_V(DEFINE_DIVIDES)

/* Bytes: AX / source, the quotient in AL and the remainder in AH. */
static bool div_fits_8(u16 dividend, u8 divisor)
{
	return (dividend >> 8) < divisor;
}

static bool idiv_fits_8(u16 dividend, u8 divisor)
{
	if (!divisor)
		return false;
	int quotient = (i16)dividend / (i8)divisor;
	return quotient >= -128 && quotient <= 127;
}

DEFINE_IN_AX(div, div_fits_8, FLAGS_BEFORE)
DEFINE_IN_AX(idiv, idiv_fits_8, FLAGS_BEFORE)
