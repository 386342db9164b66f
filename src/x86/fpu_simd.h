/* SPDX-License-Identifier: MIT */
/*
 * For src/x86/fpu_*.c: operands of SIMD instructions as vectors, and MXCSR around arithmetic. The image's XMM
 * registers are aligned; memory operands may be guest RAM itself, read by the one instruction that uses them.
 */
#ifndef X86_FPU_SIMD_H
#define X86_FPU_SIMD_H

#include "x86/address.h"
#include "x86/flags.h"
#include "x86/fpu_require.h"

typedef u64 vec __attribute__((vector_size(16), may_alias));
/* One that need not be aligned. */
typedef u64 vec_packed __attribute__((vector_size(16), aligned(1), may_alias));

static always_inline vec *xmm(struct cpu *cpu, unsigned number)
{
	return (vec *)(cpu->fpu.image + FPU_XMM + 16 * number);
}

static always_inline vec vec_of_64(u64 low)
{
	return (vec){low, 0};
}

static always_inline vec vec_load(const void *at)
{
	vec value;
	__asm__ volatile("movups %1, %0" : "=x"(value) : "m"(*(const vec_packed *)at));
	return value;
}

static always_inline vec vec_of_128(u128 value)
{
	return (vec){(u64)value, (u64)(value >> 64)};
}

/* 16 bytes at a linear address, any alignment. */
static always_inline vec load_vec(struct cpu *cpu, u64 linear)
{
	const struct tlb_entry *entry = &cpu->data_tlb[tlb_index(linear)];
	if (likely(entry->read == (linear & PAGE_MASK) && !tlb_crosses_page(linear, 16)))
		return vec_load((const void *)(linear + entry->addend));
	return vec_of_128(load_128(cpu, linear));
}

static always_inline void store_vec(struct cpu *cpu, u64 linear, vec value)
{
	const struct tlb_entry *entry = &cpu->data_tlb[tlb_index(linear)];
	if (likely(entry->write == (linear & PAGE_MASK) && !tlb_crosses_page(linear, 16)))
		__asm__ volatile("movups %1, %0"
				 : "=m"(*(vec_packed *)(linear + entry->addend))
				 : "x"(value));
	else
		store_128(cpu, linear, (u128)value[1] << 64 | value[0]);
}

/* The linear address of a 16-byte operand that must be aligned. */
static always_inline u64 address_aligned(
	struct cpu *cpu, const struct insn *insn, enum access_kind kind)
{
	u64 linear = address_linear(cpu, insn, 16, kind);
	if (unlikely(linear & 15))
		raise_gp(cpu, 0);
	return linear;
}

static always_inline vec memory_aligned(struct cpu *cpu, const struct insn *insn)
{
	return load_vec(cpu, address_aligned(cpu, insn, ACCESS_READ));
}

static always_inline vec memory_unaligned(struct cpu *cpu, const struct insn *insn)
{
	return load_vec(cpu, address_linear(cpu, insn, 16, ACCESS_READ));
}

static always_inline u64 memory_64(struct cpu *cpu, const struct insn *insn)
{
	return load_64(cpu, address_linear(cpu, insn, 8, ACCESS_READ));
}

static always_inline u32 memory_32(struct cpu *cpu, const struct insn *insn)
{
	return load_32(cpu, address_linear(cpu, insn, 4, ACCESS_READ));
}

static always_inline u16 memory_16(struct cpu *cpu, const struct insn *insn)
{
	return load_16(cpu, address_linear(cpu, insn, 2, ACCESS_READ));
}

static always_inline u8 memory_8(struct cpu *cpu, const struct insn *insn)
{
	return load_8(cpu, address_linear(cpu, insn, 1, ACCESS_READ));
}

/* Zero-extended into a vector, for scalar operands. */
static always_inline vec memory_vec_64(struct cpu *cpu, const struct insn *insn)
{
	return vec_of_64(memory_64(cpu, insn));
}

static always_inline vec memory_vec_32(struct cpu *cpu, const struct insn *insn)
{
	return vec_of_64(memory_32(cpu, insn));
}

static always_inline vec memory_vec_16(struct cpu *cpu, const struct insn *insn)
{
	return vec_of_64(memory_16(cpu, insn));
}

static always_inline void store_memory_64(struct cpu *cpu, const struct insn *insn, u64 value)
{
	store_64(cpu, address_linear(cpu, insn, 8, ACCESS_WRITE), value);
}

static always_inline void store_memory_32(struct cpu *cpu, const struct insn *insn, u32 value)
{
	store_32(cpu, address_linear(cpu, insn, 4, ACCESS_WRITE), value);
}

/* What a result can be, where tiny results must be told from zero: see sse_finish. */
enum sse_result { RESULT_OTHER, RESULT_PS, RESULT_PD, RESULT_SS, RESULT_SD, RESULT_PH };

/* MXCSR other than in its sticky flags is the default: all exceptions masked, nearest, no DAZ, no FTZ. */
static always_inline bool mxcsr_is_usual(u32 mxcsr)
{
	return likely((mxcsr & 0xffc0) == FPU_MXCSR_DEFAULT);
}

/* What the host's MXCSR must be for the guest's instruction: the guest's, or *own, set so that nothing is raised. */
static always_inline const u32 *sse_begin(const struct cpu *cpu, u32 *own)
{
	const u32 *guest = (const u32 *)(cpu->fpu.image + FPU_MXCSR);

	*own = (*guest | FPU_MXCSR_DEFAULT) & 0xffc0;
	return mxcsr_is_usual(*guest) ? guest : own;
}

/* Whether any element is denormal. */
bool sse_result_is_tiny(vec value, enum sse_result kind);

/* Restores the host's MXCSR, merges the flags, raises #XM for unmasked ones. */
void sse_finish(struct cpu *cpu, u32 flags, vec value, enum sse_result kind);

/*
 * After the instruction, before its result is written: mxcsr is what the host's register says now. It seldom changes,
 * and not storing it takes it out of the chain from one instruction to the next.
 */
static always_inline void sse_end(struct cpu *cpu, u32 mxcsr, vec value, enum sse_result kind)
{
	u32 guest = fpu_get_32(&cpu->fpu, FPU_MXCSR);

	if (!mxcsr_is_usual(guest))
		sse_finish(cpu, mxcsr & 0x3f, value, kind);
	else if (unlikely(mxcsr != guest))
		fpu_set_32(&cpu->fpu, FPU_MXCSR, mxcsr);
}

/*
 * For the handlers, one line each: NAME##_r takes the source from a register, NAME##_m from memory in the way given.
 * OPERATION(cpu, destination, source) is the new value of the destination; what follows it here it is given, too.
 */
#define DEFINE_SSE(name, memory, operation, ...)                               \
	void execute_sse_##name##_r(struct cpu *cpu, const struct insn *insn)  \
	{                                                                      \
		sse_require(cpu);                                              \
		vec *to = xmm(cpu, insn->reg);                                 \
		*to = operation(cpu, *to, *xmm(cpu, insn->rm), ##__VA_ARGS__); \
	}                                                                      \
	void execute_sse_##name##_m(struct cpu *cpu, const struct insn *insn)  \
	{                                                                      \
		sse_require(cpu);                                              \
		vec *to = xmm(cpu, insn->reg);                                 \
		vec from = memory(cpu, insn);                                  \
		*to = operation(cpu, *to, from, ##__VA_ARGS__);                \
	}

/* The two shapes of operations: without and with MXCSR. */
#define DEFINE_PLAIN_OPERATION(name, text)                                           \
	static always_inline vec operation_##name(struct cpu *cpu, vec to, vec from) \
	{                                                                            \
		__asm__(text " %1, %0" : "+x"(to) : "x"(from));                      \
		return to;                                                           \
	}

#define DEFINE_ARITHMETIC_OPERATION(name, text, kind)                                \
	static always_inline vec operation_##name(struct cpu *cpu, vec to, vec from) \
	{                                                                            \
		u32 own, mxcsr;                                                      \
		__asm__ volatile("ldmxcsr %2\n\t" text " %3, %0\n\tstmxcsr %1"       \
				 : "+x"(to), "=m"(mxcsr)                             \
				 : "m"(*sse_begin(cpu, &own)), "x"(from));           \
		sse_end(cpu, mxcsr, to, kind);                                       \
		return to;                                                           \
	}

#define SSE_PLAIN(name, memory)             \
	DEFINE_PLAIN_OPERATION(name, #name) \
	DEFINE_SSE(name, memory, operation_##name)

#define SSE_ARITHMETIC(name, memory, kind)             \
	DEFINE_ARITHMETIC_OPERATION(name, #name, kind) \
	DEFINE_SSE(name, memory, operation_##name)

#endif
