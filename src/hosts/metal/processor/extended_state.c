/* SPDX-License-Identifier: MIT */
#include "hosts/metal/processor/extended_state.h"

#include <cpuid.h>

#include "hosts/metal/instructions.h"
#include "x86/cpu.h"

#define CPUID_1_ECX_XSAVE BIT(26)
#define FCW_DEFAULT 0x037f
#define MXCSR_DEFAULT 0x1f80

/* The same on all processors. 0: there is only FXSAVE. */
static u64 components;

void extended_state_enable(void)
{
	u32 a, b, c, d;
	__cpuid(1, a, b, c, d);
	if (!(c & CPUID_1_ECX_XSAVE))
		return;
	cr4_set(cr4_get() | CR4_OSXSAVE);
	__cpuid_count(0xd, 0, a, b, c, d);
	components = a & (XCR0_X87 | XCR0_SSE | XCR0_AVX);
	xcr0_set(components);
}

void extended_state_save(void *to)
{
	if (components)
		__asm__ volatile("xsave64 (%0)" : : "r"(to), "a"(~0u), "d"(~0u) : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" : : "r"(to) : "memory");
}

void extended_state_restore(const void *from)
{
	if (components)
		__asm__ volatile("xrstor64 (%0)" : : "r"(from), "a"(~0u), "d"(~0u) : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" : : "r"(from) : "memory");
}

void extended_state_init(void *state)
{
	*(u16 *)state = FCW_DEFAULT;
	*(u32 *)((u8 *)state + 24) = MXCSR_DEFAULT;
}
