/* SPDX-License-Identifier: MIT */
/* VEX instructions that never look at MXCSR: integers, logic, shuffles, AES. One line a row or two. */
#include "x86/fpu_avx.h"
#include "x86/decode/handlers.h"

#define AVX_LENGTH(name, length, bytes, operands)        \
	DEFINE_AVX_STUB(name##_##length, #name operands) \
	DEFINE_AVX_HANDLERS(name##_##length, bytes, avx_plain, avx_stub_##name##_##length)

#define AVX_3_128(name) AVX_LENGTH(name, 128, 16, AVX_OPERANDS_3("x"))
#define AVX_3(name)     \
	AVX_3_128(name) \
	AVX_LENGTH(name, 256, 32, AVX_OPERANDS_3("y"))

#define AVX_2_128(name) AVX_LENGTH(name, 128, 16, AVX_OPERANDS_2("x"))
#define AVX_2(name)     \
	AVX_2_128(name) \
	AVX_LENGTH(name, 256, 32, AVX_OPERANDS_2("y"))

AVX_3(vpunpcklbw)
AVX_3(vpunpcklwd)
AVX_3(vpunpckldq)
AVX_3(vpacksswb)
AVX_3(vpcmpgtb)
AVX_3(vpcmpgtw)
AVX_3(vpcmpgtd)
AVX_3(vpackuswb)
AVX_3(vpunpckhbw)
AVX_3(vpunpckhwd)
AVX_3(vpunpckhdq)
AVX_3(vpackssdw)
AVX_3(vpunpcklqdq)
AVX_3(vpunpckhqdq)
AVX_3(vpcmpeqb)
AVX_3(vpcmpeqw)
AVX_3(vpcmpeqd)
AVX_3(vpaddq)
AVX_3(vpmullw)
AVX_3(vpsubusb)
AVX_3(vpsubusw)
AVX_3(vpminub)
AVX_3(vpand)
AVX_3(vpaddusb)
AVX_3(vpaddusw)
AVX_3(vpmaxub)
AVX_3(vpandn)
AVX_3(vpavgb)
AVX_3(vpavgw)
AVX_3(vpmulhuw)
AVX_3(vpmulhw)
AVX_3(vpsubsb)
AVX_3(vpsubsw)
AVX_3(vpminsw)
AVX_3(vpor)
AVX_3(vpaddsb)
AVX_3(vpaddsw)
AVX_3(vpmaxsw)
AVX_3(vpxor)
AVX_3(vpmuludq)
AVX_3(vpmaddwd)
AVX_3(vpsadbw)
AVX_3(vpsubb)
AVX_3(vpsubw)
AVX_3(vpsubd)
AVX_3(vpsubq)
AVX_3(vpaddb)
AVX_3(vpaddw)
AVX_3(vpaddd)
AVX_3(vpshufb)
AVX_3(vphaddw)
AVX_3(vphaddd)
AVX_3(vphaddsw)
AVX_3(vpmaddubsw)
AVX_3(vphsubw)
AVX_3(vphsubd)
AVX_3(vphsubsw)
AVX_3(vpsignb)
AVX_3(vpsignw)
AVX_3(vpsignd)
AVX_3(vpmulhrsw)
AVX_3(vpmuldq)
AVX_3(vpcmpeqq)
AVX_3(vpackusdw)
AVX_3(vpcmpgtq)
AVX_3(vpminsb)
AVX_3(vpminsd)
AVX_3(vpminuw)
AVX_3(vpminud)
AVX_3(vpmaxsb)
AVX_3(vpmaxsd)
AVX_3(vpmaxuw)
AVX_3(vpmaxud)
AVX_3(vpmulld)
AVX_3(vpsrlvd)
AVX_3(vpsrlvq)
AVX_3(vpsllvd)
AVX_3(vpsllvq)
AVX_3(vpsravd)

AVX_3(vandps)
AVX_3(vandpd)
AVX_3(vandnps)
AVX_3(vandnpd)
AVX_3(vorps)
AVX_3(vorpd)
AVX_3(vxorps)
AVX_3(vxorpd)
AVX_3(vunpcklps)
AVX_3(vunpcklpd)
AVX_3(vunpckhps)
AVX_3(vunpckhpd)
AVX_3(vpermilps)
AVX_3(vpermilpd)

AVX_2(vpabsb)
AVX_2(vpabsw)
AVX_2(vpabsd)
AVX_2(vmovsldup)
AVX_2(vmovshdup)

/* Approximations: no exceptions, and MXCSR's modes do not matter. */
AVX_2(vrcpps)
AVX_2(vrsqrtps)

#define AVX_SCALAR(name)                                 \
	DEFINE_AVX_STUB(name, #name AVX_OPERANDS_3("x")) \
	DEFINE_AVX_HANDLERS(name, 4, avx_plain, avx_stub_##name)

AVX_SCALAR(vrcpss)
AVX_SCALAR(vrsqrtss)

AVX_3_128(vaesenc)
AVX_3_128(vaesenclast)
AVX_3_128(vaesdec)
AVX_3_128(vaesdeclast)
AVX_2_128(vaesimc)
AVX_2_128(vphminposuw)
AVX_LENGTH(vmovddup, 128, 8, AVX_OPERANDS_2("x"))
AVX_LENGTH(vmovddup, 256, 32, AVX_OPERANDS_2("y"))
AVX_LENGTH(vcvtdq2pd, 128, 8, " %xmm2, %xmm0")
AVX_LENGTH(vcvtdq2pd, 256, 16, " %xmm2, %ymm0")
AVX_LENGTH(vpermd, 256, 32, AVX_OPERANDS_3("y"))

/* Sources shorter than the result. */
#define AVX_WIDEN(name, bytes)                        \
	AVX_LENGTH(name, 128, bytes, " %xmm2, %xmm0") \
	AVX_LENGTH(name, 256, 2 * bytes, " %xmm2, %ymm0")

AVX_WIDEN(vpmovsxbw, 8)
AVX_WIDEN(vpmovsxbd, 4)
AVX_WIDEN(vpmovsxbq, 2)
AVX_WIDEN(vpmovsxwd, 8)
AVX_WIDEN(vpmovsxwq, 4)
AVX_WIDEN(vpmovsxdq, 8)
AVX_WIDEN(vpmovzxbw, 8)
AVX_WIDEN(vpmovzxbd, 4)
AVX_WIDEN(vpmovzxbq, 2)
AVX_WIDEN(vpmovzxwd, 8)
AVX_WIDEN(vpmovzxwq, 4)
AVX_WIDEN(vpmovzxdq, 8)

#define AVX_BROADCAST(name, bytes)                    \
	AVX_LENGTH(name, 128, bytes, " %xmm2, %xmm0") \
	AVX_LENGTH(name, 256, bytes, " %xmm2, %ymm0")

AVX_BROADCAST(vpbroadcastb, 1)
AVX_BROADCAST(vpbroadcastw, 2)
AVX_BROADCAST(vpbroadcastd, 4)
AVX_BROADCAST(vpbroadcastq, 8)

/* ---- shifts: by the low quadword of an XMM register or memory, or by an immediate ----------------------- */

static void shift_immediate(struct cpu *cpu, const struct insn *insn, const u8 *stub)
{
	struct avx_frame frame = {.a = ymm_get(cpu, insn->rm)};

	frame.b = (struct ymm){vec_of_64((u8)insn->immediate), vec_of_64(0)};
	avx_call(&frame, stub);
	ymm_set(cpu, insn->vvvv, frame.to);
}

#define AVX_SHIFT_LENGTH(name, length, r)                                                \
	AVX_LENGTH(name, length, 16, " %xmm2, %" r "mm1, %" r "mm0")                     \
	void execute_avx_##name##_imm_##length(struct cpu *cpu, const struct insn *insn) \
	{                                                                                \
		avx_require(cpu);                                                        \
		shift_immediate(cpu, insn, avx_stub_##name##_##length);                  \
	}

#define AVX_SHIFT(name)                  \
	AVX_SHIFT_LENGTH(name, 128, "x") \
	AVX_SHIFT_LENGTH(name, 256, "y")

AVX_SHIFT(vpsrlw)
AVX_SHIFT(vpsrld)
AVX_SHIFT(vpsrlq)
AVX_SHIFT(vpsraw)
AVX_SHIFT(vpsrad)
AVX_SHIFT(vpsllw)
AVX_SHIFT(vpslld)
AVX_SHIFT(vpsllq)

static vec shift_bytes(vec value, unsigned bytes, bool left)
{
	u128 wide = (u128)value[1] << 64 | value[0];

	if (bytes > 15)
		return vec_of_64(0);
	return vec_of_128(left ? wide << (8 * bytes) : wide >> (8 * bytes));
}

/* In each 128-bit lane. */
#define AVX_SHIFT_BYTES(name, left)                                                   \
	void execute_avx_##name##_imm_128(struct cpu *cpu, const struct insn *insn)   \
	{                                                                             \
		avx_require(cpu);                                                     \
		ymm_set_128(cpu, insn->vvvv,                                          \
			shift_bytes(*xmm(cpu, insn->rm), (u8)insn->immediate, left)); \
	}                                                                             \
	void execute_avx_##name##_imm_256(struct cpu *cpu, const struct insn *insn)   \
	{                                                                             \
		avx_require(cpu);                                                     \
		struct ymm from = ymm_get(cpu, insn->rm);                             \
		from.low = shift_bytes(from.low, (u8)insn->immediate, left);          \
		from.high = shift_bytes(from.high, (u8)insn->immediate, left);        \
		ymm_set(cpu, insn->vvvv, from);                                       \
	}

AVX_SHIFT_BYTES(vpslldq, true)
AVX_SHIFT_BYTES(vpsrldq, false)

/* ---- blends: the mask is the register in the immediate's bits 7-4 -------------------------------------- */

static void blend(struct cpu *cpu, const struct insn *insn, struct avx_frame *frame, const u8 *stub)
{
	frame->to = ymm_get(cpu, insn->immediate >> 4 & (cpu_is_64_bit(cpu) ? 15 : 7));
	avx_plain(cpu, insn, frame, stub);
}

#define AVX_BLEND_LENGTH(name, length, bytes, r)                                              \
	DEFINE_AVX_STUB(name##_##length, #name " %" r "mm0, %" r "mm2, %" r "mm1, %" r "mm0") \
	DEFINE_AVX_HANDLERS(name##_##length, bytes, blend, avx_stub_##name##_##length)

#define AVX_BLEND(name)                      \
	AVX_BLEND_LENGTH(name, 128, 16, "x") \
	AVX_BLEND_LENGTH(name, 256, 32, "y")

AVX_BLEND(vpblendvb)
AVX_BLEND(vblendvps)
AVX_BLEND(vblendvpd)

/* ---- results in general registers and flags ------------------------------------------------------------- */

#define AVX_MASK_LENGTH(name, length, r)                                             \
	DEFINE_AVX_STUB(name##_##length, #name " %" r "mm2, %ecx")                   \
	void execute_avx_##name##_##length(struct cpu *cpu, const struct insn *insn) \
	{                                                                            \
		avx_require(cpu);                                                    \
		struct avx_frame frame = {.b = ymm_get(cpu, insn->rm)};              \
		avx_call(&frame, avx_stub_##name##_##length);                        \
		reg_set_64(cpu, insn->reg, frame.general);                           \
	}

#define AVX_MASK(name)                  \
	AVX_MASK_LENGTH(name, 128, "x") \
	AVX_MASK_LENGTH(name, 256, "y")

AVX_MASK(vpmovmskb)
AVX_MASK(vmovmskps)
AVX_MASK(vmovmskpd)

static void test(struct cpu *cpu, const struct insn *insn, struct avx_frame *frame, const u8 *stub)
{
	frame->a = ymm_get(cpu, insn->reg);
	avx_call(frame, stub);
	cpu->arithmetic_flags = (packed_flags)frame->flags;
}

#define AVX_TEST_LENGTH(name, length, bytes, r)                         \
	DEFINE_AVX_STUB(name##_##length, #name " %" r "mm2, %" r "mm1") \
	DEFINE_AVX_HANDLERS(name##_##length, bytes, test, avx_stub_##name##_##length)

#define AVX_TEST(name)                      \
	AVX_TEST_LENGTH(name, 128, 16, "x") \
	AVX_TEST_LENGTH(name, 256, 32, "y")

AVX_TEST(vptest)
AVX_TEST(vtestps)
AVX_TEST(vtestpd)
