/* SPDX-License-Identifier: MIT */
/* Whether the instruction is allowed now: #UD and #NM by CR0 and CR4, #MF for what waits. APM volume 2, 11.3. */
#ifndef X86_FPU_REQUIRE_H
#define X86_FPU_REQUIRE_H

#include "x86/environment.h"
#include "x86/fpu.h"
#include "x86/raise.h"

_Noreturn cold void fpu_raise_unavailable(struct cpu *cpu);
/* The waiting x87 exception: #MF, or FERR# to the machine (then returns, and the instruction goes on). */
cold void fpu_raise_pending(struct cpu *cpu);

static always_inline void sse_require(struct cpu *cpu)
{
	if (unlikely((cpu->cr0 & (CR0_EM | CR0_TS)) | (~cpu->cr4 & CR4_OSFXSR)))
		fpu_raise_unavailable(cpu);
}

static always_inline void x87_require_no_wait(struct cpu *cpu)
{
	if (unlikely(cpu->cr0 & (CR0_EM | CR0_TS)))
		raise_exception(cpu, EXCEPTION_NM);
}

static always_inline void x87_require(struct cpu *cpu)
{
	x87_require_no_wait(cpu);
	if (unlikely(fpu_pending(&cpu->fpu)))
		fpu_raise_pending(cpu);
}

static always_inline void mmx_require(struct cpu *cpu)
{
	if (unlikely(cpu->cr0 & (CR0_EM | CR0_TS)))
		raise_exception(cpu, cpu->cr0 & CR0_EM ? EXCEPTION_UD : EXCEPTION_NM);
	if (unlikely(fpu_pending(&cpu->fpu)))
		fpu_raise_pending(cpu);
}

/* MMX registers are R0 to R7, so TOP becomes 0 and all tags valid: APM volume 1, 5.12. */
void mmx_enter_slow(struct fpu *fpu);

static always_inline void mmx_enter(struct cpu *cpu)
{
	if (unlikely(fpu_top(&cpu->fpu) || cpu->fpu.image[FPU_FTW] != 0xff))
		mmx_enter_slow(&cpu->fpu);
}

/*
 * MASKMOVQ and MASKMOVDQU: the bytes of `from` whose mask byte has its top bit set go to DS:rDI (or the overriding
 * segment). All `bytes` must be writable, unless the mask is empty.
 */
void fpu_store_masked(
	struct cpu *cpu, const struct insn *insn, const u8 *from, const u8 *mask, unsigned bytes);

#endif
