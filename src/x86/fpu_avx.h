/* SPDX-License-Identifier: MIT */
/*
 * For src/x86/fpu_avx*.c: VEX instructions on the host's own unit. Each has a stub, the instruction itself between fixed
 * registers: YMM1 is VEX.vvvv's operand, YMM2 the rm operand, YMM0 the result and, where there is one, a third operand;
 * RCX is a general register in or out. Functions in assembly fill the registers from a frame, call the stub and put
 * them back, so that the compiler need not know of YMM. VEX.128 clears the upper halves by itself.
 */
#ifndef X86_FPU_AVX_H
#define X86_FPU_AVX_H

#include "x86/fpu_simd.h"

struct ymm {
	vec low, high;
};

struct avx_frame {
	struct ymm to; /* YMM0, in and out */
	struct ymm a;  /* YMM1 */
	struct ymm b;  /* YMM2 */
	u64 general;   /* RCX, in and out */
	u32 flags;     /* out: packed_flags */
	u32 mxcsr;     /* avx_call_mxcsr: in and out */
};

void avx_call(struct avx_frame *frame, const u8 *stub) __attribute__((visibility("hidden")));
void avx_call_mxcsr(struct avx_frame *frame, const u8 *stub) __attribute__((visibility("hidden")));

/* Real and virtual-8086 mode have no VEX: #UD. */
_Noreturn cold void avx_raise_unavailable(struct cpu *cpu);

static always_inline void avx_require(struct cpu *cpu)
{
	u64 components = XCR0_SSE | XCR0_AVX;

	if (unlikely((cpu->cr0 & CR0_TS) || !(cpu->cr4 & CR4_OSXSAVE) ||
		    (cpu->xcr0 & components) != components || cpu_is_8086(cpu)))
		avx_raise_unavailable(cpu);
}

static always_inline vec *ymm_high(struct cpu *cpu, unsigned number)
{
	return (vec *)cpu->fpu.ymm_high[number];
}

static always_inline struct ymm ymm_get(struct cpu *cpu, unsigned number)
{
	return (struct ymm){*xmm(cpu, number), *ymm_high(cpu, number)};
}

static always_inline void ymm_set(struct cpu *cpu, unsigned number, struct ymm value)
{
	*xmm(cpu, number) = value.low;
	*ymm_high(cpu, number) = value.high;
}

/* A 128-bit result. */
static always_inline void ymm_set_128(struct cpu *cpu, unsigned number, vec value)
{
	ymm_set(cpu, number, (struct ymm){value, vec_of_64(0)});
}

/* The memory operand, zero-extended; bytes: 1, 2, 4, 8, 16 or 32, at any alignment. */
static always_inline struct ymm avx_memory(struct cpu *cpu, const struct insn *insn, unsigned bytes)
{
	u64 linear = address_linear(cpu, insn, bytes, ACCESS_READ);
	struct ymm value = {0};

	switch (bytes) {
	case 1:
		value.low[0] = load_8(cpu, linear);
		break;
	case 2:
		value.low[0] = load_16(cpu, linear);
		break;
	case 4:
		value.low[0] = load_32(cpu, linear);
		break;
	case 8:
		value.low[0] = load_64(cpu, linear);
		break;
	default:
		value.low = load_vec(cpu, linear);
		if (bytes == 32)
			value.high = load_vec(cpu, linear + 16);
	}
	return value;
}

/* The shapes: what is done around a stub, frame->b being the rm operand. */
void avx_plain(struct cpu *cpu, const struct insn *insn, struct avx_frame *frame, const u8 *stub);
void avx_arithmetic(struct cpu *cpu, const struct insn *insn, struct avx_frame *frame,
	const u8 *stub, enum sse_result kind);
/* Runs it, merges MXCSR's flags and raises #XM; the caller puts the result. */
void avx_run_mxcsr(struct cpu *cpu, struct avx_frame *frame, const u8 *stub, enum sse_result kind);

#define DEFINE_AVX_STUB(name, text)                                              \
	extern const u8 avx_stub_##name[] __attribute__((visibility("hidden"))); \
	__asm__(".pushsection .text.fpu_avx, \"ax\", @progbits\n"                \
		".globl avx_stub_" #name "\n"                                    \
		".hidden avx_stub_" #name "\n"                                   \
		"avx_stub_" #name ":\n\t" text "\n\tret\n"                       \
		".popsection\n");

/* How a row's two handlers come to its operands; shape(cpu, insn, &frame, stub, ...) does the rest. */
#define DEFINE_AVX_HANDLERS(name, bytes, shape, ...)                          \
	void execute_avx_##name##_r(struct cpu *cpu, const struct insn *insn) \
	{                                                                     \
		struct avx_frame frame;                                       \
		avx_require(cpu);                                             \
		frame.b = ymm_get(cpu, insn->rm);                             \
		shape(cpu, insn, &frame, ##__VA_ARGS__);                      \
	}                                                                     \
	void execute_avx_##name##_m(struct cpu *cpu, const struct insn *insn) \
	{                                                                     \
		struct avx_frame frame;                                       \
		avx_require(cpu);                                             \
		frame.b = avx_memory(cpu, insn, bytes);                       \
		shape(cpu, insn, &frame, ##__VA_ARGS__);                      \
	}

#define AVX_OPERANDS_3(r) " %" r "mm2, %" r "mm1, %" r "mm0"
#define AVX_OPERANDS_2(r) " %" r "mm2, %" r "mm0"

#endif
