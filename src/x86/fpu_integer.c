/* SPDX-License-Identifier: MIT */
/*
 * XMM instructions that never look at MXCSR: integers, logic, unpacking, shifts, AES, PCLMULQDQ. Each line below makes
 * the handlers of one row, and the host executes the instruction of the same name.
 */
#include "x86/fpu_simd.h"
#include "x86/decode/handlers.h"

SSE_PLAIN(punpcklbw, memory_aligned)
SSE_PLAIN(punpcklwd, memory_aligned)
SSE_PLAIN(punpckldq, memory_aligned)
SSE_PLAIN(punpcklqdq, memory_aligned)
SSE_PLAIN(punpckhbw, memory_aligned)
SSE_PLAIN(punpckhwd, memory_aligned)
SSE_PLAIN(punpckhdq, memory_aligned)
SSE_PLAIN(punpckhqdq, memory_aligned)
SSE_PLAIN(packsswb, memory_aligned)
SSE_PLAIN(packuswb, memory_aligned)
SSE_PLAIN(packssdw, memory_aligned)
SSE_PLAIN(packusdw, memory_aligned)
SSE_PLAIN(unpcklps, memory_aligned)
SSE_PLAIN(unpcklpd, memory_aligned)
SSE_PLAIN(unpckhps, memory_aligned)
SSE_PLAIN(unpckhpd, memory_aligned)

SSE_PLAIN(andps, memory_aligned)
SSE_PLAIN(andpd, memory_aligned)
SSE_PLAIN(andnps, memory_aligned)
SSE_PLAIN(andnpd, memory_aligned)
SSE_PLAIN(orps, memory_aligned)
SSE_PLAIN(orpd, memory_aligned)
SSE_PLAIN(xorps, memory_aligned)
SSE_PLAIN(xorpd, memory_aligned)
SSE_PLAIN(pand, memory_aligned)
SSE_PLAIN(pandn, memory_aligned)
SSE_PLAIN(por, memory_aligned)
SSE_PLAIN(pxor, memory_aligned)

SSE_PLAIN(pcmpeqb, memory_aligned)
SSE_PLAIN(pcmpeqw, memory_aligned)
SSE_PLAIN(pcmpeqd, memory_aligned)
SSE_PLAIN(pcmpeqq, memory_aligned)
SSE_PLAIN(pcmpgtb, memory_aligned)
SSE_PLAIN(pcmpgtw, memory_aligned)
SSE_PLAIN(pcmpgtd, memory_aligned)
SSE_PLAIN(pcmpgtq, memory_aligned)

SSE_PLAIN(paddb, memory_aligned)
SSE_PLAIN(paddw, memory_aligned)
SSE_PLAIN(paddd, memory_aligned)
SSE_PLAIN(paddq, memory_aligned)
SSE_PLAIN(paddsb, memory_aligned)
SSE_PLAIN(paddsw, memory_aligned)
SSE_PLAIN(paddusb, memory_aligned)
SSE_PLAIN(paddusw, memory_aligned)
SSE_PLAIN(psubb, memory_aligned)
SSE_PLAIN(psubw, memory_aligned)
SSE_PLAIN(psubd, memory_aligned)
SSE_PLAIN(psubq, memory_aligned)
SSE_PLAIN(psubsb, memory_aligned)
SSE_PLAIN(psubsw, memory_aligned)
SSE_PLAIN(psubusb, memory_aligned)
SSE_PLAIN(psubusw, memory_aligned)
SSE_PLAIN(phaddw, memory_aligned)
SSE_PLAIN(phaddd, memory_aligned)
SSE_PLAIN(phaddsw, memory_aligned)
SSE_PLAIN(phsubw, memory_aligned)
SSE_PLAIN(phsubd, memory_aligned)
SSE_PLAIN(phsubsw, memory_aligned)
SSE_PLAIN(pavgb, memory_aligned)
SSE_PLAIN(pavgw, memory_aligned)
SSE_PLAIN(psadbw, memory_aligned)

SSE_PLAIN(pmullw, memory_aligned)
SSE_PLAIN(pmulhw, memory_aligned)
SSE_PLAIN(pmulhuw, memory_aligned)
SSE_PLAIN(pmulhrsw, memory_aligned)
SSE_PLAIN(pmuludq, memory_aligned)
SSE_PLAIN(pmuldq, memory_aligned)
SSE_PLAIN(pmulld, memory_aligned)
SSE_PLAIN(pmaddwd, memory_aligned)
SSE_PLAIN(pmaddubsw, memory_aligned)

SSE_PLAIN(pminub, memory_aligned)
SSE_PLAIN(pminuw, memory_aligned)
SSE_PLAIN(pminud, memory_aligned)
SSE_PLAIN(pminsb, memory_aligned)
SSE_PLAIN(pminsw, memory_aligned)
SSE_PLAIN(pminsd, memory_aligned)
SSE_PLAIN(pmaxub, memory_aligned)
SSE_PLAIN(pmaxuw, memory_aligned)
SSE_PLAIN(pmaxud, memory_aligned)
SSE_PLAIN(pmaxsb, memory_aligned)
SSE_PLAIN(pmaxsw, memory_aligned)
SSE_PLAIN(pmaxsd, memory_aligned)
SSE_PLAIN(phminposuw, memory_aligned)

SSE_PLAIN(pshufb, memory_aligned)
SSE_PLAIN(psignb, memory_aligned)
SSE_PLAIN(psignw, memory_aligned)
SSE_PLAIN(psignd, memory_aligned)
SSE_PLAIN(pabsb, memory_aligned)
SSE_PLAIN(pabsw, memory_aligned)
SSE_PLAIN(pabsd, memory_aligned)

SSE_PLAIN(psrlw, memory_aligned)
SSE_PLAIN(psrld, memory_aligned)
SSE_PLAIN(psrlq, memory_aligned)
SSE_PLAIN(psraw, memory_aligned)
SSE_PLAIN(psrad, memory_aligned)
SSE_PLAIN(psllw, memory_aligned)
SSE_PLAIN(pslld, memory_aligned)
SSE_PLAIN(psllq, memory_aligned)

SSE_PLAIN(aesimc, memory_aligned)
SSE_PLAIN(aesenc, memory_aligned)
SSE_PLAIN(aesenclast, memory_aligned)
SSE_PLAIN(aesdec, memory_aligned)
SSE_PLAIN(aesdeclast, memory_aligned)

/* Sources shorter than a register, at any alignment. */
SSE_PLAIN(pmovsxbw, memory_vec_64)
SSE_PLAIN(pmovsxbd, memory_vec_32)
SSE_PLAIN(pmovsxbq, memory_vec_16)
SSE_PLAIN(pmovsxwd, memory_vec_64)
SSE_PLAIN(pmovsxwq, memory_vec_32)
SSE_PLAIN(pmovsxdq, memory_vec_64)
SSE_PLAIN(pmovzxbw, memory_vec_64)
SSE_PLAIN(pmovzxbd, memory_vec_32)
SSE_PLAIN(pmovzxbq, memory_vec_16)
SSE_PLAIN(pmovzxwd, memory_vec_64)
SSE_PLAIN(pmovzxwq, memory_vec_32)
SSE_PLAIN(pmovzxdq, memory_vec_64)
SSE_PLAIN(movddup, memory_vec_64)
SSE_PLAIN(movshdup, memory_aligned)
SSE_PLAIN(movsldup, memory_aligned)

/* Shifts by an immediate are the same as by a register that holds it. */
#define SSE_SHIFT(name)                                                           \
	void execute_sse_##name##_imm(struct cpu *cpu, const struct insn *insn)   \
	{                                                                         \
		sse_require(cpu);                                                 \
		vec *to = xmm(cpu, insn->rm);                                     \
		*to = operation_##name(cpu, *to, vec_of_64((u8)insn->immediate)); \
	}

SSE_SHIFT(psrlw)
SSE_SHIFT(psrld)
SSE_SHIFT(psrlq)
SSE_SHIFT(psraw)
SSE_SHIFT(psrad)
SSE_SHIFT(psllw)
SSE_SHIFT(pslld)
SSE_SHIFT(psllq)

static vec shift_bytes(vec value, unsigned bytes, bool left)
{
	u128 wide = (u128)value[1] << 64 | value[0];

	if (bytes > 15)
		return vec_of_64(0);
	return vec_of_128(left ? wide << (8 * bytes) : wide >> (8 * bytes));
}

void execute_sse_pslldq_imm(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	vec *to = xmm(cpu, insn->rm);
	*to = shift_bytes(*to, (u8)insn->immediate, true);
}

void execute_sse_psrldq_imm(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	vec *to = xmm(cpu, insn->rm);
	*to = shift_bytes(*to, (u8)insn->immediate, false);
}

/* Blends take their mask from XMM0; "Yz" is that register. */
#define SSE_BLEND(name)                                                                      \
	static always_inline vec operation_##name(struct cpu *cpu, vec to, vec from)         \
	{                                                                                    \
		__asm__(#name " %%xmm0, %1, %0" : "+x"(to) : "x"(from), "Yz"(*xmm(cpu, 0))); \
		return to;                                                                   \
	}                                                                                    \
	DEFINE_SSE(name, memory_aligned, operation_##name)

SSE_BLEND(pblendvb)
SSE_BLEND(blendvps)
SSE_BLEND(blendvpd)

/* Results in general registers. */
#define SSE_MASK(name)                                                            \
	void execute_sse_##name(struct cpu *cpu, const struct insn *insn)         \
	{                                                                         \
		u32 mask;                                                         \
		sse_require(cpu);                                                 \
		__asm__(#name " %1, %0" : "=r"(mask) : "x"(*xmm(cpu, insn->rm))); \
		reg_set_32(cpu, insn->reg, mask);                                 \
	}

SSE_MASK(pmovmskb)
SSE_MASK(movmskps)
SSE_MASK(movmskpd)

static always_inline void ptest(struct cpu *cpu, const struct insn *insn, vec from)
{
	u32 flags;
	__asm__("ptest %2, %1\n\tlahf\n\tseto %%al"
		: "=a"(flags)
		: "x"(*xmm(cpu, insn->reg)), "x"(from)
		: "cc");
	cpu->arithmetic_flags = (packed_flags)flags;
}

void execute_sse_ptest_r(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	ptest(cpu, insn, *xmm(cpu, insn->rm));
}

void execute_sse_ptest_m(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	ptest(cpu, insn, memory_aligned(cpu, insn));
}
