/* SPDX-License-Identifier: MIT */
/* XMM instructions with an immediate: through stubs; inserts and extracts in C. */
#include "x86/fpu_simd.h"
#include "x86/fpu_stubs.h"
#include "x86/decode/handlers.h"

typedef vec stub_fn(vec to, vec from);

/* For operations that look at the immediate. */
#define DEFINE_SSE_IMMEDIATE(name, memory, operation) \
	DEFINE_SSE(name, memory, operation, (u8)insn->immediate)

static vec run_arithmetic(struct cpu *cpu, vec to, vec from, const u8 *stub, enum sse_result kind)
{
	u32 own, mxcsr;

	__asm__ volatile("ldmxcsr %0" : : "m"(*sse_begin(cpu, &own)));
	to = ((stub_fn *)stub)(to, from);
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr) : "x"(to));
	sse_end(cpu, mxcsr, to, kind);
	return to;
}

#define SSE_STUBS(name, memory, encoding, count)                                              \
	DEFINE_STUBS(name, encoding, count)                                                   \
	static vec stub_##name(struct cpu *cpu, vec to, vec from, u8 immediate)               \
	{                                                                                     \
		return run_arithmetic(cpu, to, from,                                          \
			stubs_##name + STUB_BYTES * (immediate & (count - 1)), RESULT_OTHER); \
	}                                                                                     \
	DEFINE_SSE_IMMEDIATE(name, memory, stub_##name)

SSE_STUBS(cmpps, memory_aligned, "0x0f, 0xc2, 0xc1", 8)
SSE_STUBS(cmppd, memory_aligned, "0x66, 0x0f, 0xc2, 0xc1", 8)
SSE_STUBS(cmpss, memory_vec_32, "0xf3, 0x0f, 0xc2, 0xc1", 8)
SSE_STUBS(cmpsd, memory_vec_64, "0xf2, 0x0f, 0xc2, 0xc1", 8)
SSE_STUBS(roundps, memory_aligned, "0x66, 0x0f, 0x3a, 0x08, 0xc1", 16)
SSE_STUBS(roundpd, memory_aligned, "0x66, 0x0f, 0x3a, 0x09, 0xc1", 16)
SSE_STUBS(roundss, memory_vec_32, "0x66, 0x0f, 0x3a, 0x0a, 0xc1", 16)
SSE_STUBS(roundsd, memory_vec_64, "0x66, 0x0f, 0x3a, 0x0b, 0xc1", 16)

/*
 * Dot products multiply and add in steps, and an unmasked exception of one keeps the next from happening: where MXCSR
 * isn't the usual, the steps run first, for what they raise. Bits 7-4 choose the products. SDM volume 2, DPPS.
 */
DEFINE_STUBS(dpps, "0x66, 0x0f, 0x3a, 0x40, 0xc1", 256)
DEFINE_STUBS(dppd, "0x66, 0x0f, 0x3a, 0x41, 0xc1", 256)
DEFINE_ARITHMETIC_OPERATION(mulps, "mulps", RESULT_PS)
DEFINE_ARITHMETIC_OPERATION(mulpd, "mulpd", RESULT_PD)
DEFINE_ARITHMETIC_OPERATION(haddps, "haddps", RESULT_PS)
DEFINE_ARITHMETIC_OPERATION(haddpd, "haddpd", RESULT_PD)

static u64 chosen_singles(u8 bits)
{
	return (bits & 1 ? 0xffffffff : 0) | (bits & 2 ? 0xffffffff00000000 : 0);
}

static vec stub_dpps(struct cpu *cpu, vec to, vec from, u8 immediate)
{
	vec chosen = {chosen_singles(immediate >> 4 & 3), chosen_singles(immediate >> 6)}, sum;

	if (!mxcsr_is_usual(fpu_get_32(&cpu->fpu, FPU_MXCSR))) {
		sum = operation_mulps(cpu, to & chosen, from & chosen);
		sum = operation_haddps(cpu, sum, sum);
		operation_haddps(cpu, sum, sum);
	}
	return run_arithmetic(cpu, to, from, stubs_dpps + STUB_BYTES * immediate, RESULT_OTHER);
}

static vec stub_dppd(struct cpu *cpu, vec to, vec from, u8 immediate)
{
	vec chosen = {immediate & 0x10 ? ~(u64)0 : 0, immediate & 0x20 ? ~(u64)0 : 0}, sum;

	if (!mxcsr_is_usual(fpu_get_32(&cpu->fpu, FPU_MXCSR))) {
		sum = operation_mulpd(cpu, to & chosen, from & chosen);
		operation_haddpd(cpu, sum, sum);
	}
	return run_arithmetic(cpu, to, from, stubs_dppd + STUB_BYTES * immediate, RESULT_OTHER);
}

DEFINE_SSE_IMMEDIATE(dpps, memory_aligned, stub_dpps)
DEFINE_SSE_IMMEDIATE(dppd, memory_aligned, stub_dppd)

/* The same without MXCSR: shuffles and blends. */
#define SSE_STUBS_PLAIN(name, memory, encoding, count)                                        \
	DEFINE_STUBS(name, encoding, count)                                                   \
	static always_inline vec stub_##name(struct cpu *cpu, vec to, vec from, u8 immediate) \
	{                                                                                     \
		const u8 *stub = stubs_##name + STUB_BYTES * (immediate & (count - 1));       \
		return ((stub_fn *)stub)(to, from);                                           \
	}                                                                                     \
	DEFINE_SSE_IMMEDIATE(name, memory, stub_##name)

SSE_STUBS_PLAIN(pshufd, memory_aligned, "0x66, 0x0f, 0x70, 0xc1", 256)
SSE_STUBS_PLAIN(pshufhw, memory_aligned, "0xf3, 0x0f, 0x70, 0xc1", 256)
SSE_STUBS_PLAIN(pshuflw, memory_aligned, "0xf2, 0x0f, 0x70, 0xc1", 256)
SSE_STUBS_PLAIN(shufps, memory_aligned, "0x0f, 0xc6, 0xc1", 256)
SSE_STUBS_PLAIN(shufpd, memory_aligned, "0x66, 0x0f, 0xc6, 0xc1", 4)
SSE_STUBS_PLAIN(blendps, memory_aligned, "0x66, 0x0f, 0x3a, 0x0c, 0xc1", 16)
SSE_STUBS_PLAIN(blendpd, memory_aligned, "0x66, 0x0f, 0x3a, 0x0d, 0xc1", 4)
SSE_STUBS_PLAIN(pblendw, memory_aligned, "0x66, 0x0f, 0x3a, 0x0e, 0xc1", 256)
SSE_STUBS_PLAIN(mpsadbw, memory_aligned, "0x66, 0x0f, 0x3a, 0x42, 0xc1", 8)
/* Bits 0 and 4 choose the halves. */
SSE_STUBS_PLAIN(pclmulqdq, memory_aligned, "0x66, 0x0f, 0x3a, 0x44, 0xc1", 32)

/* From 32 on the result is 0. */
DEFINE_STUBS(palignr, "0x66, 0x0f, 0x3a, 0x0f, 0xc1", 33)

static vec stub_palignr(struct cpu *cpu, vec to, vec from, u8 immediate)
{
	return ((stub_fn *)(stubs_palignr + STUB_BYTES * MIN(immediate, 32)))(to, from);
}

DEFINE_SSE_IMMEDIATE(palignr, memory_aligned, stub_palignr)

/* The round constant is exclusive-ored into doublewords 1 and 3, last. */
static vec aeskeygenassist(struct cpu *cpu, vec to, vec from, u8 immediate)
{
	__asm__("aeskeygenassist $0, %1, %0" : "=x"(to) : "x"(from));
	return to ^ (vec) { (u64) immediate << 32, (u64)immediate << 32 };
}

DEFINE_SSE_IMMEDIATE(aeskeygenassist, memory_aligned, aeskeygenassist)

/* Elements of a vector, to insert and extract. */
union elements {
	vec whole;
	u8 bytes[16];
	u16 words[8];
	u32 dwords[4];
	u64 qwords[2];
};

/* Bits 7-6 choose the source's element (not for memory), 5-4 the destination's, 3-0 what becomes zero. */
static vec insertps(vec to, u32 from, u8 immediate)
{
	union elements result = {.whole = to};

	result.dwords[(immediate >> 4) & 3] = from;
	for (unsigned i = 0; i < 4; i++)
		if (immediate >> i & 1)
			result.dwords[i] = 0;
	return result.whole;
}

void execute_sse_insertps_r(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	union elements from = {.whole = *xmm(cpu, insn->rm)};
	vec *to = xmm(cpu, insn->reg);
	*to = insertps(*to, from.dwords[(insn->immediate >> 6) & 3], (u8)insn->immediate);
}

void execute_sse_insertps_m(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	vec *to = xmm(cpu, insn->reg);
	*to = insertps(*to, memory_32(cpu, insn), (u8)insn->immediate);
}

/* PINSRx and PEXTRx; the element's number wraps. */
#define DEFINE_INSERT(name, field, bits, register_bits)                                  \
	void execute_sse_##name##_r(struct cpu *cpu, const struct insn *insn)            \
	{                                                                                \
		sse_require(cpu);                                                        \
		u##bits *elements = ((union elements *)xmm(cpu, insn->reg))->field;      \
		elements[insn->immediate & (128 / bits - 1)] =                           \
			(u##bits)reg_get_##register_bits(cpu, insn->rm);                 \
	}                                                                                \
	void execute_sse_##name##_m(struct cpu *cpu, const struct insn *insn)            \
	{                                                                                \
		sse_require(cpu);                                                        \
		u##bits *elements = ((union elements *)xmm(cpu, insn->reg))->field;      \
		elements[insn->immediate & (128 / bits - 1)] = memory_##bits(cpu, insn); \
	}

#define DEFINE_EXTRACT(name, field, bits, register_bits)                                  \
	void execute_sse_##name##_r(struct cpu *cpu, const struct insn *insn)             \
	{                                                                                 \
		sse_require(cpu);                                                         \
		const u##bits *elements = ((union elements *)xmm(cpu, insn->reg))->field; \
		reg_set_##register_bits(                                                  \
			cpu, insn->rm, elements[insn->immediate & (128 / bits - 1)]);     \
	}                                                                                 \
	void execute_sse_##name##_m(struct cpu *cpu, const struct insn *insn)             \
	{                                                                                 \
		sse_require(cpu);                                                         \
		const u##bits *elements = ((union elements *)xmm(cpu, insn->reg))->field; \
		store_##bits(cpu, address_linear(cpu, insn, bits / 8, ACCESS_WRITE),      \
			elements[insn->immediate & (128 / bits - 1)]);                    \
	}

DEFINE_INSERT(pinsrb, bytes, 8, 32)
DEFINE_INSERT(pinsrw, words, 16, 32)
DEFINE_INSERT(pinsr_32, dwords, 32, 32)
DEFINE_INSERT(pinsr_64, qwords, 64, 64)
DEFINE_EXTRACT(pextrb, bytes, 8, 32)
DEFINE_EXTRACT(pextrw_store, words, 16, 32)
DEFINE_EXTRACT(pextr_32, dwords, 32, 32)
DEFINE_EXTRACT(pextr_64, qwords, 64, 64)

/* 0F C5: the operands are the other way round. */
void execute_sse_pextrw(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	union elements from = {.whole = *xmm(cpu, insn->rm)};
	reg_set_32(cpu, insn->reg, from.words[insn->immediate & 7]);
}
