/* SPDX-License-Identifier: MIT */
/* VEX arithmetic under MXCSR: the SSE families at both lengths, FMA, conversions. One line a row or a family. */
#include "x86/fpu_avx.h"
#include "x86/decode/handlers.h"

#define AVX_LENGTH(name, length, bytes, operands, kind)  \
	DEFINE_AVX_STUB(name##_##length, #name operands) \
	DEFINE_AVX_HANDLERS(                             \
		name##_##length, bytes, avx_arithmetic, avx_stub_##name##_##length, kind)

#define AVX_3(name, kind)                                    \
	AVX_LENGTH(name, 128, 16, AVX_OPERANDS_3("x"), kind) \
	AVX_LENGTH(name, 256, 32, AVX_OPERANDS_3("y"), kind)

#define AVX_2(name, kind)                                    \
	AVX_LENGTH(name, 128, 16, AVX_OPERANDS_2("x"), kind) \
	AVX_LENGTH(name, 256, 32, AVX_OPERANDS_2("y"), kind)

/* Scalars, whatever VEX.L says. */
#define AVX_SCALAR(name, bytes, kind)                    \
	DEFINE_AVX_STUB(name, #name AVX_OPERANDS_3("x")) \
	DEFINE_AVX_HANDLERS(name, bytes, avx_arithmetic, avx_stub_##name, kind)

#define AVX_FOUR(name)                     \
	AVX_3(name##ps, RESULT_PS)         \
	AVX_3(name##pd, RESULT_PD)         \
	AVX_SCALAR(name##ss, 4, RESULT_SS) \
	AVX_SCALAR(name##sd, 8, RESULT_SD)

AVX_FOUR(vadd)
AVX_FOUR(vsub)
AVX_FOUR(vmul)
AVX_FOUR(vdiv)
/* Never tiny. */
AVX_3(vminps, RESULT_OTHER)
AVX_3(vminpd, RESULT_OTHER)
AVX_SCALAR(vminss, 4, RESULT_OTHER)
AVX_SCALAR(vminsd, 8, RESULT_OTHER)
AVX_3(vmaxps, RESULT_OTHER)
AVX_3(vmaxpd, RESULT_OTHER)
AVX_SCALAR(vmaxss, 4, RESULT_OTHER)
AVX_SCALAR(vmaxsd, 8, RESULT_OTHER)
AVX_2(vsqrtps, RESULT_OTHER)
AVX_2(vsqrtpd, RESULT_OTHER)
AVX_SCALAR(vsqrtss, 4, RESULT_OTHER)
AVX_SCALAR(vsqrtsd, 8, RESULT_OTHER)
AVX_3(vhaddps, RESULT_PS)
AVX_3(vhaddpd, RESULT_PD)
AVX_3(vhsubps, RESULT_PS)
AVX_3(vhsubpd, RESULT_PD)
AVX_3(vaddsubps, RESULT_PS)
AVX_3(vaddsubpd, RESULT_PD)

/* ---- conversions --------------------------------------------------------------------------------- */

AVX_LENGTH(vcvtps2pd, 128, 8, " %xmm2, %xmm0", RESULT_OTHER)
AVX_LENGTH(vcvtps2pd, 256, 16, " %xmm2, %ymm0", RESULT_OTHER)
AVX_LENGTH(vcvtpd2ps, 128, 16, " %xmm2, %xmm0", RESULT_PS)
AVX_LENGTH(vcvtpd2ps, 256, 32, " %ymm2, %xmm0", RESULT_PS)
AVX_LENGTH(vcvtpd2dq, 128, 16, " %xmm2, %xmm0", RESULT_OTHER)
AVX_LENGTH(vcvtpd2dq, 256, 32, " %ymm2, %xmm0", RESULT_OTHER)
AVX_LENGTH(vcvttpd2dq, 128, 16, " %xmm2, %xmm0", RESULT_OTHER)
AVX_LENGTH(vcvttpd2dq, 256, 32, " %ymm2, %xmm0", RESULT_OTHER)
AVX_2(vcvtdq2ps, RESULT_OTHER)
AVX_2(vcvtps2dq, RESULT_OTHER)
AVX_2(vcvttps2dq, RESULT_OTHER)
AVX_SCALAR(vcvtss2sd, 4, RESULT_OTHER)
AVX_SCALAR(vcvtsd2ss, 8, RESULT_SS)
AVX_LENGTH(vcvtph2ps, 128, 8, " %xmm2, %xmm0", RESULT_OTHER)
AVX_LENGTH(vcvtph2ps, 256, 16, " %xmm2, %ymm0", RESULT_OTHER)

static void from_integer(
	struct cpu *cpu, const struct insn *insn, struct avx_frame *frame, const u8 *stub)
{
	frame->a = ymm_get(cpu, insn->vvvv);
	avx_run_mxcsr(cpu, frame, stub, RESULT_OTHER);
	ymm_set(cpu, insn->reg, frame->to);
}

#define AVX_FROM_INTEGER(name, suffix, bits, source)                                   \
	DEFINE_AVX_STUB(name##_##bits, #name suffix " %" source ", %xmm1, %xmm0")      \
	void execute_avx_##name##_##bits##_r(struct cpu *cpu, const struct insn *insn) \
	{                                                                              \
		avx_require(cpu);                                                      \
		struct avx_frame frame = {.general = reg_get_##bits(cpu, insn->rm)};   \
		from_integer(cpu, insn, &frame, avx_stub_##name##_##bits);             \
	}                                                                              \
	void execute_avx_##name##_##bits##_m(struct cpu *cpu, const struct insn *insn) \
	{                                                                              \
		avx_require(cpu);                                                      \
		struct avx_frame frame = {.general = memory_##bits(cpu, insn)};        \
		from_integer(cpu, insn, &frame, avx_stub_##name##_##bits);             \
	}

AVX_FROM_INTEGER(vcvtsi2ss, "l", 32, "ecx")
AVX_FROM_INTEGER(vcvtsi2ss, "q", 64, "rcx")
AVX_FROM_INTEGER(vcvtsi2sd, "l", 32, "ecx")
AVX_FROM_INTEGER(vcvtsi2sd, "q", 64, "rcx")

static void to_integer(
	struct cpu *cpu, const struct insn *insn, struct avx_frame *frame, const u8 *stub)
{
	avx_run_mxcsr(cpu, frame, stub, RESULT_OTHER);
	reg_set_64(cpu, insn->reg, frame->general);
}

#define AVX_TO_INTEGER(name, bytes)                                             \
	DEFINE_AVX_STUB(name##_32, #name " %xmm2, %ecx")                        \
	DEFINE_AVX_HANDLERS(name##_32, bytes, to_integer, avx_stub_##name##_32) \
	DEFINE_AVX_STUB(name##_64, #name " %xmm2, %rcx")                        \
	DEFINE_AVX_HANDLERS(name##_64, bytes, to_integer, avx_stub_##name##_64)

AVX_TO_INTEGER(vcvtss2si, 4)
AVX_TO_INTEGER(vcvttss2si, 4)
AVX_TO_INTEGER(vcvtsd2si, 8)
AVX_TO_INTEGER(vcvttsd2si, 8)

static void compare(
	struct cpu *cpu, const struct insn *insn, struct avx_frame *frame, const u8 *stub)
{
	frame->a = ymm_get(cpu, insn->reg);
	avx_run_mxcsr(cpu, frame, stub, RESULT_OTHER);
	cpu->arithmetic_flags = (packed_flags)frame->flags;
}

#define AVX_COMPARE(name, bytes)                     \
	DEFINE_AVX_STUB(name, #name " %xmm2, %xmm1") \
	DEFINE_AVX_HANDLERS(name, bytes, compare, avx_stub_##name)

AVX_COMPARE(vucomiss, 4)
AVX_COMPARE(vucomisd, 8)
AVX_COMPARE(vcomiss, 4)
AVX_COMPARE(vcomisd, 8)

/* ---- FMA: the destination is an operand, too ------------------------------------------------------- */

static void fma(struct cpu *cpu, const struct insn *insn, struct avx_frame *frame, const u8 *stub,
	enum sse_result kind)
{
	frame->to = ymm_get(cpu, insn->reg);
	avx_arithmetic(cpu, insn, frame, stub, kind);
}

#define FMA_LENGTH(name, length, bytes, r, kind)                  \
	DEFINE_AVX_STUB(name##_##length, #name AVX_OPERANDS_3(r)) \
	DEFINE_AVX_HANDLERS(name##_##length, bytes, fma, avx_stub_##name##_##length, kind)

#define FMA_PACKED(name)                              \
	FMA_LENGTH(name##ps, 128, 16, "x", RESULT_PS) \
	FMA_LENGTH(name##ps, 256, 32, "y", RESULT_PS) \
	FMA_LENGTH(name##pd, 128, 16, "x", RESULT_PD) \
	FMA_LENGTH(name##pd, 256, 32, "y", RESULT_PD)

#define FMA_SCALAR(name, bytes, kind)                    \
	DEFINE_AVX_STUB(name, #name AVX_OPERANDS_3("x")) \
	DEFINE_AVX_HANDLERS(name, bytes, fma, avx_stub_##name, kind)

#define FMA_ALL(name)                      \
	FMA_PACKED(name)                   \
	FMA_SCALAR(name##ss, 4, RESULT_SS) \
	FMA_SCALAR(name##sd, 8, RESULT_SD)

#define FMA_ORDERS(X, name) X(name##132) X(name##213) X(name##231)

FMA_ORDERS(FMA_ALL, vfmadd)
FMA_ORDERS(FMA_ALL, vfmsub)
FMA_ORDERS(FMA_ALL, vfnmadd)
FMA_ORDERS(FMA_ALL, vfnmsub)
FMA_ORDERS(FMA_PACKED, vfmaddsub)
FMA_ORDERS(FMA_PACKED, vfmsubadd)
