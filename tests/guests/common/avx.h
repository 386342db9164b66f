/* SPDX-License-Identifier: MIT */
/* For guests with vector registers: all sixteen set and read, XCR0, and code run until an engine has made it fast. */
#ifndef GUEST_AVX_H
#define GUEST_AVX_H

#include "guest.h"

#define TIMES \
	60 /* what runs seldom may go another way than what runs often: both must say the same */

#define XCR0_X87 1u
#define XCR0_SSE 2u
#define XCR0_AVX 4u

#define HAS_AVX cpuid_has(1, 2, 28)

/* clang-format off */
#define EACH_YMM(what) what(0) what(1) what(2) what(3) what(4) what(5) what(6) what(7) \
	what(8) what(9) what(10) what(11) what(12) what(13) what(14) what(15)
#define YMM_LOAD(n) "vmovups 32*" #n "(%0), %%ymm" #n "\n"
#define YMM_STORE(n) "vmovups %%ymm" #n ", 32*" #n "(%0)\n"
/* clang-format on */

static inline void ymm_load(u64 (*from)[4])
{
	__asm__ volatile(EACH_YMM(YMM_LOAD)::"r"(from) : "memory");
}

static inline void ymm_store(u64 (*to)[4])
{
	__asm__ volatile(EACH_YMM(YMM_STORE)::"r"(to) : "memory");
}

static inline void xcr0_set(u32 v)
{
	__asm__ volatile("xsetbv" ::"a"(v), "c"(0), "d"(0) : "memory");
}

/* SSE, XSAVE and all that XCR0 may have; MXCSR as at reset. */
static inline void avx_enable(void)
{
	static const u32 mxcsr = 0x1f80;

	cr4_set(cr4_get() | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE);
	xcr0_set(XCR0_X87 | XCR0_SSE | XCR0_AVX);
	__asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
}

/* Runs a statement that sets trap many times and reports it; tells when it did not end the same each time. */
#define REPORT_TIMES(name, statement)                           \
	do {                                                    \
		word first_ = 0;                                \
		int same_ = 1;                                  \
		for (unsigned i_ = 0; i_ < TIMES; i_++) {       \
			statement;                              \
			first_ = i_ ? first_ : trap.vector;     \
			same_ = same_ && trap.vector == first_; \
		}                                               \
		report(same_ ? name : name " (not always)");    \
	} while (0)

#endif
