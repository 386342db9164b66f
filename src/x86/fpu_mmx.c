/* SPDX-License-Identifier: MIT */
/*
 * MMX on the host's XMM unit: each instruction has an XMM sibling whose low half gives the same result once the
 * operands are arranged, and the host's own x87 registers stay out of it. APM volume 1 chapter 5.
 *
 * An MMX instruction makes TOP 0 and all tags valid, and sets the exponent field of what it writes. A memory
 * operand is loaded before any of that, as it may fault.
 */
#include "x86/fpu_simd.h"
#include "x86/decode/handlers.h"

static always_inline u64 mmx_get(struct cpu *cpu, unsigned number)
{
	return fpu_get_64(&cpu->fpu, FPU_ST + 16 * (number & 7));
}

static always_inline void mmx_set(struct cpu *cpu, unsigned number, u64 value)
{
	fpu_set_64(&cpu->fpu, FPU_ST + 16 * (number & 7), value);
	fpu_set_16(&cpu->fpu, FPU_ST + 16 * (number & 7) + 8, 0xffff);
}

#define DEFINE_MMX_FROM(name, memory, operation)                                     \
	void execute_mmx_##name##_r(struct cpu *cpu, const struct insn *insn)        \
	{                                                                            \
		mmx_require(cpu);                                                    \
		mmx_enter(cpu);                                                      \
		mmx_set(cpu, insn->reg,                                              \
			operation(mmx_get(cpu, insn->reg), mmx_get(cpu, insn->rm))); \
	}                                                                            \
	void execute_mmx_##name##_m(struct cpu *cpu, const struct insn *insn)        \
	{                                                                            \
		mmx_require(cpu);                                                    \
		u64 from = memory(cpu, insn);                                        \
		mmx_enter(cpu);                                                      \
		mmx_set(cpu, insn->reg, operation(mmx_get(cpu, insn->reg), from));   \
	}

#define DEFINE_MMX(name, operation) DEFINE_MMX_FROM(name, memory_64, operation)

/* Element by element: the low half is the answer. */
#define MMX_PLAIN_FROM(name, memory)                                           \
	static always_inline u64 mmx_operation_##name(u64 to, u64 from)        \
	{                                                                      \
		vec value = vec_of_64(to);                                     \
		__asm__(#name " %1, %0" : "+x"(value) : "x"(vec_of_64(from))); \
		return value[0];                                               \
	}                                                                      \
	DEFINE_MMX_FROM(name, memory, mmx_operation_##name)

#define MMX_PLAIN(name) MMX_PLAIN_FROM(name, memory_64)

/* Packs and horizontal sums take the destination's elements, then the source's: both in one vector. */
#define MMX_JOINED(name)                                                \
	static always_inline u64 mmx_operation_##name(u64 to, u64 from) \
	{                                                               \
		vec value = {to, from};                                 \
		__asm__(#name " %0, %0" : "+x"(value));                 \
		return value[0];                                        \
	}                                                               \
	DEFINE_MMX(name, mmx_operation_##name)

/* PUNPCKH is what PUNPCKL of an XMM register leaves in the upper half. */
#define MMX_UNPACK_HIGH(name, low)                                           \
	static always_inline u64 mmx_operation_##name(u64 to, u64 from)      \
	{                                                                    \
		vec value = vec_of_64(to);                                   \
		__asm__(low " %1, %0" : "+x"(value) : "x"(vec_of_64(from))); \
		return value[1];                                             \
	}                                                                    \
	DEFINE_MMX(name, mmx_operation_##name)

/* 32-bit memory operands: APM volume 5. */
MMX_PLAIN_FROM(punpcklbw, memory_32)
MMX_PLAIN_FROM(punpcklwd, memory_32)
MMX_PLAIN_FROM(punpckldq, memory_32)
MMX_UNPACK_HIGH(punpckhbw, "punpcklbw")
MMX_UNPACK_HIGH(punpckhwd, "punpcklwd")
MMX_UNPACK_HIGH(punpckhdq, "punpckldq")
MMX_JOINED(packsswb)
MMX_JOINED(packuswb)
MMX_JOINED(packssdw)

MMX_PLAIN(pand)
MMX_PLAIN(pandn)
MMX_PLAIN(por)
MMX_PLAIN(pxor)
MMX_PLAIN(pcmpeqb)
MMX_PLAIN(pcmpeqw)
MMX_PLAIN(pcmpeqd)
MMX_PLAIN(pcmpgtb)
MMX_PLAIN(pcmpgtw)
MMX_PLAIN(pcmpgtd)

MMX_PLAIN(paddb)
MMX_PLAIN(paddw)
MMX_PLAIN(paddd)
MMX_PLAIN(paddq)
MMX_PLAIN(paddsb)
MMX_PLAIN(paddsw)
MMX_PLAIN(paddusb)
MMX_PLAIN(paddusw)
MMX_PLAIN(psubb)
MMX_PLAIN(psubw)
MMX_PLAIN(psubd)
MMX_PLAIN(psubq)
MMX_PLAIN(psubsb)
MMX_PLAIN(psubsw)
MMX_PLAIN(psubusb)
MMX_PLAIN(psubusw)
MMX_JOINED(phaddw)
MMX_JOINED(phaddd)
MMX_JOINED(phaddsw)
MMX_JOINED(phsubw)
MMX_JOINED(phsubd)
MMX_JOINED(phsubsw)
MMX_PLAIN(pavgb)
MMX_PLAIN(pavgw)
MMX_PLAIN(psadbw)
MMX_PLAIN(pmullw)
MMX_PLAIN(pmulhw)
MMX_PLAIN(pmulhuw)
MMX_PLAIN(pmulhrsw)
MMX_PLAIN(pmuludq)
MMX_PLAIN(pmaddwd)
MMX_PLAIN(pmaddubsw)
MMX_PLAIN(pminub)
MMX_PLAIN(pminsw)
MMX_PLAIN(pmaxub)
MMX_PLAIN(pmaxsw)
MMX_PLAIN(psignb)
MMX_PLAIN(psignw)
MMX_PLAIN(psignd)
MMX_PLAIN(pabsb)
MMX_PLAIN(pabsw)
MMX_PLAIN(pabsd)

MMX_PLAIN(psrlw)
MMX_PLAIN(psrld)
MMX_PLAIN(psrlq)
MMX_PLAIN(psraw)
MMX_PLAIN(psrad)
MMX_PLAIN(psllw)
MMX_PLAIN(pslld)
MMX_PLAIN(psllq)

#define MMX_SHIFT(name)                                                                     \
	void execute_mmx_##name##_imm(struct cpu *cpu, const struct insn *insn)             \
	{                                                                                   \
		mmx_require(cpu);                                                           \
		mmx_enter(cpu);                                                             \
		mmx_set(cpu, insn->rm,                                                      \
			mmx_operation_##name(mmx_get(cpu, insn->rm), (u8)insn->immediate)); \
	}

MMX_SHIFT(psrlw)
MMX_SHIFT(psrld)
MMX_SHIFT(psrlq)
MMX_SHIFT(psraw)
MMX_SHIFT(psrad)
MMX_SHIFT(psllw)
MMX_SHIFT(pslld)
MMX_SHIFT(psllq)

/* Three bits of an index count here, four in the XMM form. */
static always_inline u64 mmx_operation_pshufb(u64 to, u64 from)
{
	vec value = vec_of_64(to);

	__asm__("pshufb %1, %0" : "+x"(value) : "x"(vec_of_64(from & 0x8787878787878787)));
	return value[0];
}

DEFINE_MMX(pshufb, mmx_operation_pshufb)

static u64 mmx_pshufw(u64 from, u8 order)
{
	u64 result = 0;

	for (unsigned i = 0; i < 4; i++)
		result |= (from >> (16 * ((order >> (2 * i)) & 3)) & 0xffff) << (16 * i);
	return result;
}

void execute_mmx_pshufw_r(struct cpu *cpu, const struct insn *insn)
{
	mmx_require(cpu);
	mmx_enter(cpu);
	mmx_set(cpu, insn->reg, mmx_pshufw(mmx_get(cpu, insn->rm), (u8)insn->immediate));
}

void execute_mmx_pshufw_m(struct cpu *cpu, const struct insn *insn)
{
	mmx_require(cpu);
	u64 from = memory_64(cpu, insn);
	mmx_enter(cpu);
	mmx_set(cpu, insn->reg, mmx_pshufw(from, (u8)insn->immediate));
}

static u64 mmx_palignr(u64 to, u64 from, u8 bytes)
{
	u128 both = (u128)to << 64 | from;

	return bytes > 15 ? 0 : (u64)(both >> (8 * bytes));
}

void execute_mmx_palignr_r(struct cpu *cpu, const struct insn *insn)
{
	mmx_require(cpu);
	mmx_enter(cpu);
	mmx_set(cpu, insn->reg,
		mmx_palignr(mmx_get(cpu, insn->reg), mmx_get(cpu, insn->rm), (u8)insn->immediate));
}

void execute_mmx_palignr_m(struct cpu *cpu, const struct insn *insn)
{
	mmx_require(cpu);
	u64 from = memory_64(cpu, insn);
	mmx_enter(cpu);
	mmx_set(cpu, insn->reg, mmx_palignr(mmx_get(cpu, insn->reg), from, (u8)insn->immediate));
}

void execute_mmx_pmovmskb(struct cpu *cpu, const struct insn *insn)
{
	u32 mask;

	mmx_require(cpu);
	mmx_enter(cpu);
	__asm__("pmovmskb %1, %0" : "=r"(mask) : "x"(vec_of_64(mmx_get(cpu, insn->rm))));
	reg_set_32(cpu, insn->reg, mask);
}

static void insert_word(struct cpu *cpu, const struct insn *insn, u16 word)
{
	unsigned shift = 16 * (insn->immediate & 3);

	mmx_enter(cpu);
	u64 value = mmx_get(cpu, insn->reg) & ~((u64)0xffff << shift);
	mmx_set(cpu, insn->reg, value | (u64)word << shift);
}

void execute_mmx_pinsrw_r(struct cpu *cpu, const struct insn *insn)
{
	mmx_require(cpu);
	insert_word(cpu, insn, (u16)reg_get_32(cpu, insn->rm));
}

void execute_mmx_pinsrw_m(struct cpu *cpu, const struct insn *insn)
{
	mmx_require(cpu);
	insert_word(cpu, insn, memory_16(cpu, insn));
}

void execute_mmx_pextrw(struct cpu *cpu, const struct insn *insn)
{
	mmx_require(cpu);
	mmx_enter(cpu);
	reg_set_32(cpu, insn->reg, mmx_get(cpu, insn->rm) >> (16 * (insn->immediate & 3)) & 0xffff);
}

/* MOVD, MOVQ. */
#define DEFINE_MMX_LOAD(name, from_register, from_memory)                     \
	void execute_mmx_##name##_r(struct cpu *cpu, const struct insn *insn) \
	{                                                                     \
		mmx_require(cpu);                                             \
		mmx_enter(cpu);                                               \
		mmx_set(cpu, insn->reg, from_register(cpu, insn->rm));        \
	}                                                                     \
	void execute_mmx_##name##_m(struct cpu *cpu, const struct insn *insn) \
	{                                                                     \
		mmx_require(cpu);                                             \
		u64 from = from_memory(cpu, insn);                            \
		mmx_enter(cpu);                                               \
		mmx_set(cpu, insn->reg, from);                                \
	}

DEFINE_MMX_LOAD(movd_load_32, reg_get_32, memory_32)
DEFINE_MMX_LOAD(movd_load_64, reg_get_64, memory_64)
DEFINE_MMX_LOAD(movq_load, mmx_get, memory_64)

void execute_mmx_movd_store_32_r(struct cpu *cpu, const struct insn *insn)
{
	mmx_require(cpu);
	mmx_enter(cpu);
	reg_set_32(cpu, insn->rm, (u32)mmx_get(cpu, insn->reg));
}

void execute_mmx_movd_store_64_r(struct cpu *cpu, const struct insn *insn)
{
	mmx_require(cpu);
	mmx_enter(cpu);
	reg_set_64(cpu, insn->rm, mmx_get(cpu, insn->reg));
}

/* The register's content before the state changes: a store may fault, and must have changed nothing then. */
static u64 mmx_peek(struct cpu *cpu, unsigned number)
{
	return mmx_get(cpu, number - fpu_top(&cpu->fpu));
}

void execute_mmx_movd_store_32_m(struct cpu *cpu, const struct insn *insn)
{
	mmx_require(cpu);
	store_memory_32(cpu, insn, (u32)mmx_peek(cpu, insn->reg));
	mmx_enter(cpu);
}

void execute_mmx_movq_store_m(struct cpu *cpu, const struct insn *insn)
{
	mmx_require(cpu);
	store_memory_64(cpu, insn, mmx_peek(cpu, insn->reg));
	mmx_enter(cpu);
}

void execute_mmx_movd_store_64_m(struct cpu *cpu, const struct insn *insn)
{
	execute_mmx_movq_store_m(cpu, insn);
}

void execute_mmx_movq_store_r(struct cpu *cpu, const struct insn *insn)
{
	mmx_require(cpu);
	mmx_enter(cpu);
	mmx_set(cpu, insn->rm, mmx_get(cpu, insn->reg));
}

void execute_mmx_maskmovq(struct cpu *cpu, const struct insn *insn)
{
	u64 from, mask;

	mmx_require(cpu);
	from = mmx_peek(cpu, insn->reg);
	mask = mmx_peek(cpu, insn->rm);
	fpu_store_masked(cpu, insn, (const u8 *)&from, (const u8 *)&mask, 8);
	mmx_enter(cpu);
}

/* Between the two register files: these need both units. */
static void both_require(struct cpu *cpu)
{
	sse_require(cpu);
	mmx_require(cpu);
}

void execute_mmx_movq2dq(struct cpu *cpu, const struct insn *insn)
{
	both_require(cpu);
	mmx_enter(cpu);
	*xmm(cpu, insn->reg) = vec_of_64(mmx_get(cpu, insn->rm));
}

void execute_mmx_movdq2q(struct cpu *cpu, const struct insn *insn)
{
	both_require(cpu);
	mmx_enter(cpu);
	mmx_set(cpu, insn->reg, (*xmm(cpu, insn->rm))[0]);
}

/*
 * CVTPI2PS and its kin, through CVTDQ2PS and its kin: the two elements that do not exist are zero, and raise nothing.
 */
static vec convert(struct cpu *cpu, vec from, vec (*run)(vec from))
{
	u32 own, mxcsr;
	vec to;

	__asm__ volatile("ldmxcsr %0" : : "m"(*sse_begin(cpu, &own)));
	to = run(from);
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr) : "x"(to));
	sse_end(cpu, mxcsr, to, RESULT_OTHER);
	return to;
}

#define DEFINE_CONVERSION(name)                                           \
	static vec run_##name(vec from)                                   \
	{                                                                 \
		vec to;                                                   \
		__asm__ volatile(#name " %1, %0" : "=x"(to) : "x"(from)); \
		return to;                                                \
	}

DEFINE_CONVERSION(cvtdq2ps)
DEFINE_CONVERSION(cvtdq2pd)
DEFINE_CONVERSION(cvtps2dq)
DEFINE_CONVERSION(cvttps2dq)
DEFINE_CONVERSION(cvtpd2dq)
DEFINE_CONVERSION(cvttpd2dq)

void execute_mmx_cvtpi2ps_r(struct cpu *cpu, const struct insn *insn)
{
	both_require(cpu);
	mmx_enter(cpu);
	vec value = convert(cpu, vec_of_64(mmx_get(cpu, insn->rm)), run_cvtdq2ps);
	(*xmm(cpu, insn->reg))[0] = value[0];
}

/* From memory no MMX register is touched, and processors leave the x87 unit alone, whatever the manuals say. */
void execute_mmx_cvtpi2ps_m(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	vec value = convert(cpu, memory_vec_64(cpu, insn), run_cvtdq2ps);
	(*xmm(cpu, insn->reg))[0] = value[0];
}

void execute_mmx_cvtpi2pd_r(struct cpu *cpu, const struct insn *insn)
{
	both_require(cpu);
	mmx_enter(cpu);
	*xmm(cpu, insn->reg) = run_cvtdq2pd(vec_of_64(mmx_get(cpu, insn->rm)));
}

/* From memory it is an SSE2 instruction like others: no x87 state is touched. SDM volume 2, CVTPI2PD. */
void execute_mmx_cvtpi2pd_m(struct cpu *cpu, const struct insn *insn)
{
	sse_require(cpu);
	*xmm(cpu, insn->reg) = run_cvtdq2pd(memory_vec_64(cpu, insn));
}

#define DEFINE_TO_MMX(name, conversion, memory, from_register)                                  \
	void execute_mmx_##name##_r(struct cpu *cpu, const struct insn *insn)                   \
	{                                                                                       \
		both_require(cpu);                                                              \
		mmx_enter(cpu);                                                                 \
		vec value = convert(cpu, from_register(*xmm(cpu, insn->rm)), run_##conversion); \
		mmx_set(cpu, insn->reg, value[0]);                                              \
	}                                                                                       \
	void execute_mmx_##name##_m(struct cpu *cpu, const struct insn *insn)                   \
	{                                                                                       \
		both_require(cpu);                                                              \
		vec from = memory(cpu, insn);                                                   \
		mmx_enter(cpu);                                                                 \
		vec value = convert(cpu, from, run_##conversion);                               \
		mmx_set(cpu, insn->reg, value[0]);                                              \
	}

#define LOW_HALF(value) vec_of_64((value)[0])
#define WHOLE(value) (value)

DEFINE_TO_MMX(cvtps2pi, cvtps2dq, memory_vec_64, LOW_HALF)
DEFINE_TO_MMX(cvttps2pi, cvttps2dq, memory_vec_64, LOW_HALF)
DEFINE_TO_MMX(cvtpd2pi, cvtpd2dq, memory_aligned, WHOLE)
DEFINE_TO_MMX(cvttpd2pi, cvttpd2dq, memory_aligned, WHOLE)
