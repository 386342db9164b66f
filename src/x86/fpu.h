/* SPDX-License-Identifier: MIT */
/*
 * x87, MMX and SSE state: APM volume 1 chapters 4 to 6, volume 2 chapter 11. Floating point is the host's own unit;
 * src/x86/fpu*.c are the only files that touch it, and leave it as the ABI wants it (FNINIT, MXCSR 1f80h), but for x87's sticky
 * exceptions, all masked (fpu_x87_quick.c).
 *
 * What this processor does where processors differ:
 *  - FCS and FDS are deprecated: saved as 0 (CPUID 7.0 EBX bit 13). FIP, FDP and FOP follow every non-control
 *    instruction, and FXSAVE and FXRSTOR always move them (as with CPUID 8000_0008 EBX bit 2, RstrFpErrPtrs).
 *  - MXCSR_MASK is ffffh: no misaligned SSE mode.
 *  - PE beside an unmasked OE or UE of SSE is what the masked response would set.
 */
#ifndef X86_FPU_H
#define X86_FPU_H

#include "x86/cpu.h"

/* Offsets in the FXSAVE image, 64-bit form: SDM volume 1, table 10-2. */
enum fpu_image_offset {
	FPU_FCW = 0,
	FPU_FSW = 2,
	FPU_FTW = 4, /* abridged: a bit set for each physical register that is not empty */
	FPU_FOP = 6,
	FPU_FIP = 8,
	FPU_FDP = 16,
	FPU_MXCSR = 24,
	FPU_MXCSR_MASK = 28,
	FPU_ST = 32,
	FPU_XMM = 160,
	FPU_XMM_END = 416,
	FPU_SAVED_END = 464, /* the rest is software's, never written */
};

#define FPU_FCW_DEFAULT 0x037f
#define FPU_FCW_RESET 0x0040 /* power-on; INIT and FNINIT differ: APM volume 2, table 14-1 */
#define FPU_MXCSR_DEFAULT 0x1f80
#define FPU_MXCSR_VALID 0xffff

#define FSW_EXCEPTIONS 0x003f
#define FSW_SF 0x0040
#define FSW_ES 0x0080
#define FSW_C0 0x0100
#define FSW_C1 0x0200
#define FSW_C2 0x0400
#define FSW_C3 0x4000
#define FSW_TOP 0x3800
#define FSW_B 0x8000

/* XSAVE: the area's sizes in bytes (CPUID leaf 0Dh). */
#define FPU_XSAVE_HEADER 512
#define FPU_XSAVE_LEGACY_SIZE 576 /* legacy region and header: all there is without AVX */
#define FPU_XSAVE_AVX_END 832	  /* with the upper halves behind, in both forms */

/* Whether XSETBV may put value into XCR0: AVX only where the model has it, and not without SSE. */
bool fpu_xcr0_is_valid(const struct cpu *cpu, u64 value);

/* Power-on state. Without this, memory of zeroes is a valid state, too. */
void fpu_reset(struct fpu *fpu);

/*
 * After the image was filled from outside (saved state, debugger): brings what a processor could not hold into
 * range. Loads from an image that a guest can choose must go through this.
 */
void fpu_sanitize(struct fpu *fpu);

/* FXSAVE's tags in the full form: two bits a physical register, of what the registers hold. */
u16 fpu_tag_word(const struct fpu *fpu);

/* Changes TOP and keeps the registers where they are, which moves them in the image (it is in stack order). */
void fpu_set_top(struct fpu *fpu, unsigned top);

static always_inline u16 fpu_get_16(const struct fpu *fpu, unsigned offset)
{
	return *(const u16 __attribute__((may_alias)) *)(fpu->image + offset);
}

static always_inline void fpu_set_16(struct fpu *fpu, unsigned offset, u16 value)
{
	*(u16 __attribute__((may_alias)) *)(fpu->image + offset) = value;
}

static always_inline u32 fpu_get_32(const struct fpu *fpu, unsigned offset)
{
	return *(const u32 __attribute__((may_alias)) *)(fpu->image + offset);
}

static always_inline void fpu_set_32(struct fpu *fpu, unsigned offset, u32 value)
{
	*(u32 __attribute__((may_alias)) *)(fpu->image + offset) = value;
}

static always_inline u64 fpu_get_64(const struct fpu *fpu, unsigned offset)
{
	return *(const u64 __attribute__((may_alias)) *)(fpu->image + offset);
}

static always_inline void fpu_set_64(struct fpu *fpu, unsigned offset, u64 value)
{
	*(u64 __attribute__((may_alias)) *)(fpu->image + offset) = value;
}

/* Physical number of ST(0). */
static always_inline unsigned fpu_top(const struct fpu *fpu)
{
	return (fpu_get_16(fpu, FPU_FSW) >> 11) & 7;
}

/* Unmasked exceptions that wait for the next x87 instruction; what ES summarises. */
static always_inline unsigned fpu_pending(const struct fpu *fpu)
{
	return fpu_get_16(fpu, FPU_FSW) & ~fpu_get_16(fpu, FPU_FCW) & FSW_EXCEPTIONS;
}

/* Sets ES and B as the flags and masks demand: after anything that changes either. */
static inline void fpu_update_summary(struct fpu *fpu)
{
	u16 fsw = fpu_get_16(fpu, FPU_FSW) & ~(FSW_ES | FSW_B);

	fpu_set_16(fpu, FPU_FSW, fpu_pending(fpu) ? fsw | FSW_ES | FSW_B : fsw);
}

#endif
