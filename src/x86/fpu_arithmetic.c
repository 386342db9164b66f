/* SPDX-License-Identifier: MIT */
/*
 * XMM arithmetic under the guest's MXCSR: SDM volume 1, 11.5. The host runs it with all exceptions masked; flags are
 * merged, and unmasked ones raised, before the result is written (fpu_simd.h).
 */
#include "x86/fpu_simd.h"
#include "x86/decode/handlers.h"

#define FLAGS_BEFORE_COMPUTATION 0x07 /* IE, DE, ZE */
#define FLAG_UE 0x10

static bool is_denormal_32(u32 bits)
{
	return !(bits & 0x7f800000) && (bits & 0x007fffff);
}

static bool is_denormal_64(u64 bits)
{
	return !(bits & 0x7ff0000000000000) && (bits & 0x000fffffffffffff);
}

/* Of four half-precision numbers. */
static bool has_denormal_16(u64 bits)
{
	for (; bits; bits >>= 16)
		if (!(bits & 0x7c00) && (bits & 0x03ff))
			return true;
	return false;
}

/* Unmasked underflow is for any tiny result; the masked one, which has run, for inexact ones only. */
bool sse_result_is_tiny(vec value, enum sse_result kind)
{
	bool low_single = is_denormal_32((u32)value[0]);
	bool low_double = is_denormal_64(value[0]);

	switch (kind) {
	case RESULT_SS:
		return low_single;
	case RESULT_SD:
		return low_double;
	case RESULT_PS:
		return low_single || is_denormal_32(value[0] >> 32) ||
			is_denormal_32((u32)value[1]) || is_denormal_32(value[1] >> 32);
	case RESULT_PD:
		return low_double || is_denormal_64(value[1]);
	case RESULT_PH:
		return has_denormal_16(value[0]) || has_denormal_16(value[1]);
	default:
		return false;
	}
}

cold void sse_finish(struct cpu *cpu, u32 flags, vec value, enum sse_result kind)
{
	u32 usual = FPU_MXCSR_DEFAULT, mxcsr = fpu_get_32(&cpu->fpu, FPU_MXCSR);
	u32 enabled = ~(mxcsr >> 7) & 0x3f;

	__asm__ volatile("ldmxcsr %0" : : "m"(usual));
	if ((enabled & FLAG_UE) && sse_result_is_tiny(value, kind))
		flags |= FLAG_UE;
	/* These are found before anything is computed, so that the others do not happen. */
	if (flags & enabled & FLAGS_BEFORE_COMPUTATION)
		flags &= FLAGS_BEFORE_COMPUTATION;
	fpu_set_32(&cpu->fpu, FPU_MXCSR, mxcsr | flags);
	if (flags & enabled)
		raise_exception(cpu, cpu->cr4 & CR4_OSXMMEXCPT ? EXCEPTION_XM : EXCEPTION_UD);
}

#define SSE_FOUR(name)                                      \
	SSE_ARITHMETIC(name##ps, memory_aligned, RESULT_PS) \
	SSE_ARITHMETIC(name##pd, memory_aligned, RESULT_PD) \
	SSE_ARITHMETIC(name##ss, memory_vec_32, RESULT_SS)  \
	SSE_ARITHMETIC(name##sd, memory_vec_64, RESULT_SD)

#define SSE_FOUR_NEVER_TINY(name)                              \
	SSE_ARITHMETIC(name##ps, memory_aligned, RESULT_OTHER) \
	SSE_ARITHMETIC(name##pd, memory_aligned, RESULT_OTHER) \
	SSE_ARITHMETIC(name##ss, memory_vec_32, RESULT_OTHER)  \
	SSE_ARITHMETIC(name##sd, memory_vec_64, RESULT_OTHER)

SSE_FOUR(add)
SSE_FOUR(sub)
SSE_FOUR(mul)
SSE_FOUR(div)
SSE_FOUR_NEVER_TINY(sqrt)
SSE_FOUR_NEVER_TINY(min)
SSE_FOUR_NEVER_TINY(max)

SSE_ARITHMETIC(haddps, memory_aligned, RESULT_PS)
SSE_ARITHMETIC(haddpd, memory_aligned, RESULT_PD)
SSE_ARITHMETIC(hsubps, memory_aligned, RESULT_PS)
SSE_ARITHMETIC(hsubpd, memory_aligned, RESULT_PD)
SSE_ARITHMETIC(addsubps, memory_aligned, RESULT_PS)
SSE_ARITHMETIC(addsubpd, memory_aligned, RESULT_PD)

/* Approximations: no exceptions, and MXCSR's modes do not matter. */
SSE_PLAIN(rcpps, memory_aligned)
SSE_PLAIN(rcpss, memory_vec_32)
SSE_PLAIN(rsqrtps, memory_aligned)
SSE_PLAIN(rsqrtss, memory_vec_32)

SSE_ARITHMETIC(cvtps2pd, memory_vec_64, RESULT_OTHER)
SSE_ARITHMETIC(cvtpd2ps, memory_aligned, RESULT_PS)
SSE_ARITHMETIC(cvtss2sd, memory_vec_32, RESULT_OTHER)
SSE_ARITHMETIC(cvtsd2ss, memory_vec_64, RESULT_SS)
SSE_ARITHMETIC(cvtdq2ps, memory_aligned, RESULT_OTHER)
SSE_ARITHMETIC(cvtps2dq, memory_aligned, RESULT_OTHER)
SSE_ARITHMETIC(cvttps2dq, memory_aligned, RESULT_OTHER)
SSE_ARITHMETIC(cvtpd2dq, memory_aligned, RESULT_OTHER)
SSE_ARITHMETIC(cvttpd2dq, memory_aligned, RESULT_OTHER)
SSE_PLAIN(cvtdq2pd, memory_vec_64)

/* From a general register or memory; the upper part of the destination stays. */
#define DEFINE_FROM_INTEGER(name, text, bits)                                           \
	static always_inline void from_integer_##name##_##bits(                         \
		struct cpu *cpu, const struct insn *insn, u##bits from)                 \
	{                                                                               \
		vec *to = xmm(cpu, insn->reg), value = *to;                             \
		u32 own, mxcsr;                                                         \
		__asm__ volatile("ldmxcsr %2\n\t" text " %3, %0\n\tstmxcsr %1"          \
				 : "+x"(value), "=m"(mxcsr)                             \
				 : "m"(*sse_begin(cpu, &own)), "r"(from));              \
		sse_end(cpu, mxcsr, value, RESULT_OTHER);                               \
		*to = value;                                                            \
	}                                                                               \
	void execute_sse_##name##_##bits##_r(struct cpu *cpu, const struct insn *insn)  \
	{                                                                               \
		sse_require(cpu);                                                       \
		from_integer_##name##_##bits(cpu, insn, reg_get_##bits(cpu, insn->rm)); \
	}                                                                               \
	void execute_sse_##name##_##bits##_m(struct cpu *cpu, const struct insn *insn)  \
	{                                                                               \
		sse_require(cpu);                                                       \
		from_integer_##name##_##bits(cpu, insn, memory_##bits(cpu, insn));      \
	}

DEFINE_FROM_INTEGER(cvtsi2ss, "cvtsi2ssl", 32)
DEFINE_FROM_INTEGER(cvtsi2ss, "cvtsi2ssq", 64)
DEFINE_FROM_INTEGER(cvtsi2sd, "cvtsi2sdl", 32)
DEFINE_FROM_INTEGER(cvtsi2sd, "cvtsi2sdq", 64)

/* To a general register. */
#define DEFINE_TO_INTEGER(name, memory, bits)                                          \
	static always_inline void to_integer_##name##_##bits(                          \
		struct cpu *cpu, const struct insn *insn, vec from)                    \
	{                                                                              \
		u##bits value;                                                         \
		u32 own, mxcsr;                                                        \
		__asm__ volatile("ldmxcsr %2\n\t" #name " %3, %0\n\tstmxcsr %1"        \
				 : "=&r"(value), "=m"(mxcsr)                           \
				 : "m"(*sse_begin(cpu, &own)), "x"(from));             \
		sse_end(cpu, mxcsr, from, RESULT_OTHER);                               \
		reg_set_##bits(cpu, insn->reg, value);                                 \
	}                                                                              \
	void execute_sse_##name##_##bits##_r(struct cpu *cpu, const struct insn *insn) \
	{                                                                              \
		sse_require(cpu);                                                      \
		to_integer_##name##_##bits(cpu, insn, *xmm(cpu, insn->rm));            \
	}                                                                              \
	void execute_sse_##name##_##bits##_m(struct cpu *cpu, const struct insn *insn) \
	{                                                                              \
		sse_require(cpu);                                                      \
		to_integer_##name##_##bits(cpu, insn, memory(cpu, insn));              \
	}

DEFINE_TO_INTEGER(cvtss2si, memory_vec_32, 32)
DEFINE_TO_INTEGER(cvtss2si, memory_vec_32, 64)
DEFINE_TO_INTEGER(cvttss2si, memory_vec_32, 32)
DEFINE_TO_INTEGER(cvttss2si, memory_vec_32, 64)
DEFINE_TO_INTEGER(cvtsd2si, memory_vec_64, 32)
DEFINE_TO_INTEGER(cvtsd2si, memory_vec_64, 64)
DEFINE_TO_INTEGER(cvttsd2si, memory_vec_64, 32)
DEFINE_TO_INTEGER(cvttsd2si, memory_vec_64, 64)

/* Comparisons into the flags: OF, SF and AF become 0. */
#define DEFINE_COMPARE(name, memory)                                                        \
	static always_inline void compare_##name(                                           \
		struct cpu *cpu, const struct insn *insn, vec from)                         \
	{                                                                                   \
		u32 flags, own, mxcsr;                                                      \
		__asm__ volatile(                                                           \
			"ldmxcsr %2\n\t" #name " %3, %4\n\tstmxcsr %1\n\tlahf\n\tseto %%al" \
			: "=&a"(flags), "=m"(mxcsr)                                         \
			: "m"(*sse_begin(cpu, &own)), "x"(from), "x"(*xmm(cpu, insn->reg))  \
			: "cc");                                                            \
		sse_end(cpu, mxcsr, from, RESULT_OTHER);                                    \
		cpu->arithmetic_flags = (packed_flags)flags;                                \
	}                                                                                   \
	void execute_sse_##name##_r(struct cpu *cpu, const struct insn *insn)               \
	{                                                                                   \
		sse_require(cpu);                                                           \
		compare_##name(cpu, insn, *xmm(cpu, insn->rm));                             \
	}                                                                                   \
	void execute_sse_##name##_m(struct cpu *cpu, const struct insn *insn)               \
	{                                                                                   \
		sse_require(cpu);                                                           \
		compare_##name(cpu, insn, memory(cpu, insn));                               \
	}

DEFINE_COMPARE(ucomiss, memory_vec_32)
DEFINE_COMPARE(ucomisd, memory_vec_64)
DEFINE_COMPARE(comiss, memory_vec_32)
DEFINE_COMPARE(comisd, memory_vec_64)

void execute_sse_ldmxcsr(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	u32 value = memory_32(cpu, insn);
	if (value & ~FPU_MXCSR_VALID)
		raise_gp(cpu, 0);
	fpu_set_32(&cpu->fpu, FPU_MXCSR, value);
}

void execute_sse_stmxcsr(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	store_memory_32(cpu, insn, fpu_get_32(&cpu->fpu, FPU_MXCSR));
}
