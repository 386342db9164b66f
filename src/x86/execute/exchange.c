/* SPDX-License-Identifier: MIT */
/*
 * XCHG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B. XCHG with memory is locked with or without the prefix. APM volume 3.
 */
#include "x86/execute/operands.h"

/* ---- XCHG, XADD ---------------------------------------------------------------------------------- */

#define DEFINE_HOST_EXCHANGE(bits)                                                          \
	static always_inline u##bits host_xchg_##bits(void *at, u##bits value)              \
	{                                                                                   \
		__asm__ volatile("xchg" SUFFIX_##bits " %1, %0"                             \
				 : "+m"(*(struct ram_##bits *)at), "+r"(value)              \
				 :                                                          \
				 : "memory");                                               \
		return value;                                                               \
	}                                                                                   \
	/* Returns what *at held. */                                                        \
	static always_inline u##bits host_xadd_##bits(                                      \
		void *at, u##bits value, packed_flags *flags)                               \
	{                                                                                   \
		packed_flags after;                                                         \
		__asm__ volatile("lock xadd" SUFFIX_##bits " %1, %0" SAVE_FLAGS             \
				 : "+m"(*(struct ram_##bits *)at), "+r"(value), "=a"(after) \
				 :                                                          \
				 : "cc", "memory");                                         \
		*flags = after;                                                             \
		return value;                                                               \
	}

FOR_SIZES(DEFINE_HOST_EXCHANGE)

#define DEFINE_XCHG(bits)                                                                \
	HANDLER(xchg_EG_##bits##_r)                                                      \
	{                                                                                \
		u##bits value = rm_get_##bits(cpu, insn);                                \
		reg_set_##bits(cpu, insn->rm, reg_get_##bits(cpu, insn->reg));           \
		reg_set_##bits(cpu, insn->reg, value);                                   \
	}                                                                                \
	HANDLER(xchg_EG_##bits##_m)                                                      \
	{                                                                                \
		struct rmw rmw = rmw_begin(cpu, insn, bits / 8);                         \
		u##bits value = reg_get_##bits(cpu, insn->reg);                          \
		if (likely(rmw.at)) {                                                    \
			reg_set_##bits(cpu, insn->reg, host_xchg_##bits(rmw.at, value)); \
			return;                                                          \
		}                                                                        \
		split_lock_take(cpu);                                                    \
		reg_set_##bits(cpu, insn->reg, rmw_get_##bits(cpu, &rmw));               \
		rmw_set_##bits(cpu, &rmw, value);                                        \
		split_lock_release(cpu);                                                 \
	}                                                                                \
	HANDLER(xchg_EG_##bits##_l)                                                      \
	{                                                                                \
		execute_xchg_EG_##bits##_m(cpu, insn);                                   \
	}

FOR_SIZES(DEFINE_XCHG)

#define DEFINE_XCHG_RA(bits)                                                  \
	HANDLER(xchg_RA_##bits)                                               \
	{                                                                     \
		u##bits value = reg_get_##bits(cpu, RAX * 8);                 \
		reg_set_##bits(cpu, RAX * 8, reg_get_##bits(cpu, insn->reg)); \
		reg_set_##bits(cpu, insn->reg, value);                        \
	}

FOR_SIZES_V(DEFINE_XCHG_RA)

/* When both operands are one register, the sum stays in it. */
#define DEFINE_XADD(bits)                                                                \
	HANDLER(xadd_EG_##bits##_r)                                                      \
	{                                                                                \
		struct ram_##bits sum = {rm_get_##bits(cpu, insn)};                      \
		u##bits before = host_xadd_##bits(                                       \
			&sum, reg_get_##bits(cpu, insn->reg), &cpu->arithmetic_flags);   \
		reg_set_##bits(cpu, insn->reg, before);                                  \
		reg_set_##bits(cpu, insn->rm, sum.value);                                \
	}                                                                                \
	HANDLER(xadd_EG_##bits##_l)                                                      \
	{                                                                                \
		struct rmw rmw = rmw_begin(cpu, insn, bits / 8);                         \
		u##bits value = reg_get_##bits(cpu, insn->reg);                          \
		if (likely(rmw.at)) {                                                    \
			value = host_xadd_##bits(rmw.at, value, &cpu->arithmetic_flags); \
			reg_set_##bits(cpu, insn->reg, value);                           \
			return;                                                          \
		}                                                                        \
		split_lock_take(cpu);                                                    \
		struct ram_##bits sum = {rmw_get_##bits(cpu, &rmw)};                     \
		value = host_xadd_##bits(&sum, value, &cpu->arithmetic_flags);           \
		rmw_set_##bits(cpu, &rmw, sum.value);                                    \
		reg_set_##bits(cpu, insn->reg, value);                                   \
		split_lock_release(cpu);                                                 \
	}                                                                                \
	HANDLER(xadd_EG_##bits##_m)                                                      \
	{                                                                                \
		execute_xadd_EG_##bits##_l(cpu, insn);                                   \
	}

FOR_SIZES(DEFINE_XADD)

/* ---- CMPXCHG ------------------------------------------------------------------------------------- */

/* Compares *accumulator with *at: equal, *at = value; else *accumulator = *at. True when equal. */
#define DEFINE_HOST_CMPXCHG(bits)                                                        \
	static always_inline bool host_cmpxchg_##bits(                                   \
		void *at, u##bits *accumulator, u##bits value, packed_flags *flags)      \
	{                                                                                \
		u64 a = *accumulator;                                                    \
		u64 found;                                                               \
		__asm__ volatile("lock cmpxchg" SUFFIX_##bits                            \
				 " %3, %0\n\tmovq %%rax, %2" SAVE_FLAGS                  \
				 : "+m"(*(struct ram_##bits *)at), "+a"(a), "=&r"(found) \
				 : "r"(value)                                            \
				 : "cc", "memory");                                      \
		*accumulator = (u##bits)found;                                           \
		*flags = (packed_flags)a;                                                \
		return *flags & PACKED_ZF;                                               \
	}

FOR_SIZES(DEFINE_HOST_CMPXCHG)

/*
 * A memory destination is written in either case; a register, and its upper half, only if it was equal; the accumulator
 * only if it was not.
 */
#define DEFINE_CMPXCHG(bits)                                                                   \
	HANDLER(cmpxchg_EG_##bits##_r)                                                         \
	{                                                                                      \
		struct ram_##bits destination = {rm_get_##bits(cpu, insn)};                    \
		u##bits accumulator = reg_get_##bits(cpu, RAX * 8);                            \
		bool equal = host_cmpxchg_##bits(&destination, &accumulator,                   \
			reg_get_##bits(cpu, insn->reg), &cpu->arithmetic_flags);               \
		if (equal)                                                                     \
			reg_set_##bits(cpu, insn->rm, destination.value);                      \
		else                                                                           \
			reg_set_##bits(cpu, RAX * 8, accumulator);                             \
	}                                                                                      \
	static no_inline void cmpxchg_split_##bits(                                            \
		struct cpu *cpu, const struct insn *insn, const struct rmw *rmw)               \
	{                                                                                      \
		split_lock_take(cpu);                                                          \
		struct ram_##bits destination = {rmw_get_##bits(cpu, rmw)};                    \
		u##bits accumulator = reg_get_##bits(cpu, RAX * 8);                            \
		bool equal = host_cmpxchg_##bits(&destination, &accumulator,                   \
			reg_get_##bits(cpu, insn->reg), &cpu->arithmetic_flags);               \
		rmw_set_##bits(cpu, rmw, destination.value);                                   \
		if (!equal)                                                                    \
			reg_set_##bits(cpu, RAX * 8, accumulator);                             \
		split_lock_release(cpu);                                                       \
	}                                                                                      \
	HANDLER(cmpxchg_EG_##bits##_l)                                                         \
	{                                                                                      \
		struct rmw rmw = rmw_begin(cpu, insn, bits / 8);                               \
		if (unlikely(!rmw.at)) {                                                       \
			cmpxchg_split_##bits(cpu, insn, &rmw);                                 \
			return;                                                                \
		}                                                                              \
		u##bits accumulator = reg_get_##bits(cpu, RAX * 8);                            \
		if (!host_cmpxchg_##bits(rmw.at, &accumulator, reg_get_##bits(cpu, insn->reg), \
			    &cpu->arithmetic_flags))                                           \
			reg_set_##bits(cpu, RAX * 8, accumulator);                             \
	}                                                                                      \
	HANDLER(cmpxchg_EG_##bits##_m)                                                         \
	{                                                                                      \
		execute_cmpxchg_EG_##bits##_l(cpu, insn);                                      \
	}

FOR_SIZES(DEFINE_CMPXCHG)

/* ---- CMPXCHG8B, CMPXCHG16B ----------------------------------------------------------------------- */

static void set_zf(struct cpu *cpu, bool value)
{
	cpu->arithmetic_flags =
		(packed_flags)((cpu->arithmetic_flags & ~PACKED_ZF) | (value ? PACKED_ZF : 0));
}

static bool host_cmpxchg_pair_32(void *at, u32 *low, u32 *high, u32 new_low, u32 new_high)
{
	bool equal;
	__asm__ volatile("lock cmpxchg8b %0\n\tsetz %3"
			 : "+m"(*(struct ram_64 *)at), "+a"(*low), "+d"(*high), "=q"(equal)
			 : "b"(new_low), "c"(new_high)
			 : "cc", "memory");
	return equal;
}

struct ram_pair {
	u64 low, high;
} __attribute__((packed, may_alias));

static bool host_cmpxchg_pair_64(void *at, u64 *low, u64 *high, u64 new_low, u64 new_high)
{
	bool equal;
	__asm__ volatile("lock cmpxchg16b %0\n\tsetz %3"
			 : "+m"(*(struct ram_pair *)at), "+a"(*low), "+d"(*high), "=q"(equal)
			 : "b"(new_low), "c"(new_high)
			 : "cc", "memory");
	return equal;
}

HANDLER(cmpxchg8b_l)
{
	struct rmw rmw = rmw_begin(cpu, insn, 8);
	u32 low = (u32)cpu->regs[RAX], high = (u32)cpu->regs[RDX];
	u32 new_low = (u32)cpu->regs[RBX], new_high = (u32)cpu->regs[RCX];
	bool equal;
	if (likely(rmw.at)) {
		equal = host_cmpxchg_pair_32(rmw.at, &low, &high, new_low, new_high);
	} else {
		split_lock_take(cpu);
		struct ram_64 copy = {load_64(cpu, rmw.linear)};
		equal = host_cmpxchg_pair_32(&copy, &low, &high, new_low, new_high);
		store_64(cpu, rmw.linear, copy.value);
		split_lock_release(cpu);
	}
	if (!equal) {
		cpu->regs[RAX] = low;
		cpu->regs[RDX] = high;
	}
	set_zf(cpu, equal);
}

HANDLER(cmpxchg16b_l)
{
	u64 linear = address_linear(cpu, insn, 16, ACCESS_WRITE);
	if (linear & 15)
		raise_gp(cpu, 0);
	struct rmw rmw = rmw_begin_linear(cpu, linear, 16);
	u64 low = cpu->regs[RAX], high = cpu->regs[RDX];
	bool equal;
	if (likely(rmw.at)) {
		equal = host_cmpxchg_pair_64(rmw.at, &low, &high, cpu->regs[RBX], cpu->regs[RCX]);
	} else {
		split_lock_take(cpu);
		u128 copy __attribute__((aligned(16))) = load_128(cpu, linear);
		equal = host_cmpxchg_pair_64(&copy, &low, &high, cpu->regs[RBX], cpu->regs[RCX]);
		store_128(cpu, linear, copy);
		split_lock_release(cpu);
	}
	cpu->regs[RAX] = low;
	cpu->regs[RDX] = high;
	set_zf(cpu, equal);
}

HANDLER(cmpxchg8b_m)
{
	execute_cmpxchg8b_l(cpu, insn);
}

HANDLER(cmpxchg16b_m)
{
	execute_cmpxchg16b_l(cpu, insn);
}
