/* SPDX-License-Identifier: MIT */
/* XMM instructions with an immediate: shuffles, inserts and blends in C, arithmetic through stubs. */
#include "base/memory.h"
#include "x86/fpu_simd.h"
#include "x86/fpu_stubs.h"
#include "x86/decode/handlers.h"

typedef vec stub_fn(vec to, vec from);

/* Like DEFINE_SSE, for operations that look at the immediate. */
#define DEFINE_SSE_IMMEDIATE(name, memory, operation)                                \
	void execute_sse_##name##_r(struct cpu *cpu, const struct insn *insn)        \
	{                                                                            \
		sse_require(cpu);                                                    \
		vec *to = xmm(cpu, insn->reg);                                       \
		*to = operation(cpu, *to, *xmm(cpu, insn->rm), (u8)insn->immediate); \
	}                                                                            \
	void execute_sse_##name##_m(struct cpu *cpu, const struct insn *insn)        \
	{                                                                            \
		sse_require(cpu);                                                    \
		vec *to = xmm(cpu, insn->reg);                                       \
		vec from = memory(cpu, insn);                                        \
		*to = operation(cpu, *to, from, (u8)insn->immediate);                \
	}

static vec run_arithmetic(struct cpu *cpu, vec to, vec from, const u8 *stub, enum sse_result kind)
{
	u32 mxcsr = sse_begin(cpu);

	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
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
SSE_STUBS(dpps, memory_aligned, "0x66, 0x0f, 0x3a, 0x40, 0xc1", 256)
SSE_STUBS(dppd, memory_aligned, "0x66, 0x0f, 0x3a, 0x41, 0xc1", 256)
SSE_STUBS(mpsadbw, memory_aligned, "0x66, 0x0f, 0x3a, 0x42, 0xc1", 8)

/* PCLMULQDQ looks at bits 0 and 4. */
DEFINE_STUBS(pclmulqdq, "0x66, 0x0f, 0x3a, 0x44, 0xc1", 32)

static vec stub_pclmulqdq(struct cpu *cpu, vec to, vec from, u8 immediate)
{
	return ((stub_fn *)(stubs_pclmulqdq + STUB_BYTES * (immediate & 0x11)))(to, from);
}

DEFINE_SSE_IMMEDIATE(pclmulqdq, memory_aligned, stub_pclmulqdq)

/* The round constant is exclusive-ored into doublewords 1 and 3, last. */
static vec aeskeygenassist(struct cpu *cpu, vec to, vec from, u8 immediate)
{
	__asm__("aeskeygenassist $0, %1, %0" : "=x"(to) : "x"(from));
	return to ^ (vec) { (u64) immediate << 32, (u64)immediate << 32 };
}

DEFINE_SSE_IMMEDIATE(aeskeygenassist, memory_aligned, aeskeygenassist)

/* Elements of a vector, for the shuffles. */
union elements {
	vec whole;
	u8 bytes[16];
	u16 words[8];
	u32 dwords[4];
	u64 qwords[2];
};

static always_inline vec pshufd(struct cpu *cpu, vec to, vec from, u8 order)
{
	union elements source = {.whole = from}, result;

	for (unsigned i = 0; i < 4; i++)
		result.dwords[i] = source.dwords[(order >> (2 * i)) & 3];
	return result.whole;
}

/* Four words of one half, in the order given. */
static always_inline u64 shuffle_words(u64 from, u8 order)
{
	u64 result = 0;

	for (unsigned i = 0; i < 4; i++)
		result |= (from >> (16 * ((order >> (2 * i)) & 3)) & 0xffff) << (16 * i);
	return result;
}

static always_inline vec pshuflw(struct cpu *cpu, vec to, vec from, u8 order)
{
	return (vec){shuffle_words(from[0], order), from[1]};
}

static always_inline vec pshufhw(struct cpu *cpu, vec to, vec from, u8 order)
{
	return (vec){from[0], shuffle_words(from[1], order)};
}

static always_inline vec shufps(struct cpu *cpu, vec to, vec from, u8 order)
{
	union elements a = {.whole = to}, b = {.whole = from}, result;

	result.dwords[0] = a.dwords[order & 3];
	result.dwords[1] = a.dwords[(order >> 2) & 3];
	result.dwords[2] = b.dwords[(order >> 4) & 3];
	result.dwords[3] = b.dwords[(order >> 6) & 3];
	return result.whole;
}

static always_inline vec shufpd(struct cpu *cpu, vec to, vec from, u8 order)
{
	union elements a = {.whole = to}, b = {.whole = from};

	return (vec){a.qwords[order & 1], b.qwords[(order >> 1) & 1]};
}

DEFINE_SSE_IMMEDIATE(pshufd, memory_aligned, pshufd)
DEFINE_SSE_IMMEDIATE(pshuflw, memory_aligned, pshuflw)
DEFINE_SSE_IMMEDIATE(pshufhw, memory_aligned, pshufhw)
DEFINE_SSE_IMMEDIATE(shufps, memory_aligned, shufps)
DEFINE_SSE_IMMEDIATE(shufpd, memory_aligned, shufpd)

static always_inline vec pblendw(struct cpu *cpu, vec to, vec from, u8 mask)
{
	union elements a = {.whole = to}, b = {.whole = from};

	for (unsigned i = 0; i < 8; i++)
		if (mask >> i & 1)
			a.words[i] = b.words[i];
	return a.whole;
}

static always_inline vec blendps(struct cpu *cpu, vec to, vec from, u8 mask)
{
	union elements a = {.whole = to}, b = {.whole = from};

	for (unsigned i = 0; i < 4; i++)
		if (mask >> i & 1)
			a.dwords[i] = b.dwords[i];
	return a.whole;
}

static always_inline vec blendpd(struct cpu *cpu, vec to, vec from, u8 mask)
{
	return (vec){mask & 1 ? from[0] : to[0], mask & 2 ? from[1] : to[1]};
}

static vec palignr(struct cpu *cpu, vec to, vec from, u8 bytes)
{
	union elements pair[2] = {{.whole = from}, {.whole = to}}, result;
	u8 both[32 + 32];

	if (bytes > 32)
		bytes = 32;
	memset(both, 0, sizeof(both));
	memcpy(both, &pair[0].whole, 16);
	memcpy(both + 16, &pair[1].whole, 16);
	memcpy(&result.whole, both + bytes, 16);
	return result.whole;
}

DEFINE_SSE_IMMEDIATE(pblendw, memory_aligned, pblendw)
DEFINE_SSE_IMMEDIATE(blendps, memory_aligned, blendps)
DEFINE_SSE_IMMEDIATE(blendpd, memory_aligned, blendpd)
DEFINE_SSE_IMMEDIATE(palignr, memory_aligned, palignr)

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
