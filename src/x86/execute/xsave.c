/* SPDX-License-Identifier: MIT */
/* FXSAVE, XSAVE and their kin: APM volume 2, 11.4 and 11.5; SDM volume 1 chapter 13. */
#include "base/memory.h"
#include "x86/address.h"
#include "x86/fpu_require.h"
#include "x86/paging.h"
#include "x86/decode/handlers.h"

#define XSTATE_COMPACTED BIT(63)

struct xsave_header {
	u64 xstate_bv, xcomp_bv, reserved[6];
};

/* XMM registers that the mode can name. */
static unsigned xmm_bytes(const struct cpu *cpu)
{
	return cpu_is_64_bit(cpu) ? 256 : 128;
}

static bool is_wide(const struct insn *insn)
{
	return insn->operand_size == SIZE_64;
}

/* The same of the upper halves. */
static unsigned ymm_bytes(const struct cpu *cpu)
{
	return xmm_bytes(cpu);
}

/* Bytes of an area with these components, in either form: AVX is the only one behind the header. */
static unsigned area_bytes(u64 components)
{
	return components & XCR0_AVX ? FPU_XSAVE_AVX_END : FPU_XSAVE_LEGACY_SIZE;
}

static u64 area_address(struct cpu *cpu, const struct insn *insn, unsigned bytes,
	unsigned alignment, enum access_kind kind)
{
	u64 linear = address_linear(cpu, insn, 8, kind);

	/* In the processor's order: the first bytes' place, alignment, the whole (which paging may find non-canonical). */
	if ((linear & (alignment - 1)) && (!cpu_is_64_bit(cpu) || address_is_canonical(linear)))
		raise_gp(cpu, 0);
	return address_linear(cpu, insn, bytes, kind);
}

/* The image as memory has it: without REX.W the pointers are 32 bits and a selector, which is 0. */
static void legacy_put(const struct cpu *cpu, const struct insn *insn, u8 image[512])
{
	memcpy(image, cpu->fpu.image, 512);
	image[FPU_FTW + 1] = 0;
	if (!is_wide(insn)) {
		memset(image + FPU_FIP + 4, 0, 4);
		memset(image + FPU_FDP + 4, 0, 4);
	}
	memcpy(image + FPU_MXCSR_MASK, &(u32){FPU_MXCSR_VALID}, 4);
}

/* x87 state out of a legacy area. */
static void x87_take(struct fpu *fpu, const struct insn *insn, const u8 *image)
{
	memcpy(fpu->image, image, FPU_MXCSR);
	memcpy(fpu->image + FPU_ST, image + FPU_ST, FPU_XMM - FPU_ST);
	if (!is_wide(insn)) {
		memset(fpu->image + FPU_FIP + 4, 0, 4);
		memset(fpu->image + FPU_FDP + 4, 0, 4);
	}
	fpu_sanitize(fpu);
}

static void x87_initialize(struct fpu *fpu)
{
	memset(fpu->image, 0, FPU_MXCSR);
	memset(fpu->image + FPU_ST, 0, FPU_XMM - FPU_ST);
	fpu_set_16(fpu, FPU_FCW, FPU_FCW_DEFAULT);
}

static void mxcsr_check(struct cpu *cpu, u32 mxcsr)
{
	if (mxcsr & ~FPU_MXCSR_VALID)
		raise_gp(cpu, 0);
}

/* EFER.FFXSR: 64-bit code at CPL 0 moves no XMM registers. */
static bool is_fast(const struct cpu *cpu)
{
	return (cpu->efer & EFER_FFXSR) && cpu_is_64_bit(cpu) && !cpu->cpl;
}

void execute_fxsave(struct cpu *cpu, const struct insn *insn)
{
	u8 image[512];
	unsigned bytes = FPU_XMM + (is_fast(cpu) ? 0 : xmm_bytes(cpu));
	u64 linear;

	x87_require_no_wait(cpu);
	linear = area_address(cpu, insn, 512, 16, ACCESS_WRITE);
	paging_probe(cpu, linear + 511, 1, ACCESS_WRITE, cpu->tlb_mode); /* which comes first */
	paging_probe(cpu, linear, 512, ACCESS_WRITE, cpu->tlb_mode);
	legacy_put(cpu, insn, image);
	store_bytes(cpu, linear, image, bytes);
}

void execute_fxrstor(struct cpu *cpu, const struct insn *insn)
{
	u8 image[512];
	u32 mxcsr;

	x87_require_no_wait(cpu);
	load_bytes(cpu, area_address(cpu, insn, 512, 16, ACCESS_READ), image, 512);
	memcpy(&mxcsr, image + FPU_MXCSR, 4);
	mxcsr_check(cpu, mxcsr);
	if (!is_fast(cpu))
		memcpy(cpu->fpu.image + FPU_XMM, image + FPU_XMM, xmm_bytes(cpu));
	fpu_set_32(&cpu->fpu, FPU_MXCSR, mxcsr);
	x87_take(&cpu->fpu, insn, image);
}

/* Components that the instruction is asked for. */
static u64 requested(const struct cpu *cpu)
{
	return cpu->xcr0 & ((u64)(u32)cpu->regs[RDX] << 32 | (u32)cpu->regs[RAX]);
}

static bool is_zero(const u8 *bytes, size_t count)
{
	u8 any = 0;

	for (size_t i = 0; i < count; i++)
		any |= bytes[i];
	return !any;
}

/* XINUSE: components not in their initial state. MXCSR does not count. */
static u64 in_use(const struct fpu *fpu)
{
	u64 used = 0;

	if (fpu_get_16(fpu, FPU_FCW) != FPU_FCW_DEFAULT ||
		!is_zero(fpu->image + FPU_FSW, FPU_MXCSR - FPU_FSW) ||
		!is_zero(fpu->image + FPU_ST, FPU_XMM - FPU_ST))
		used |= XCR0_X87;
	if (!is_zero(fpu->image + FPU_XMM, FPU_XMM_END - FPU_XMM))
		used |= XCR0_SSE;
	if (!is_zero(fpu->ymm_high[0], sizeof(fpu->ymm_high)))
		used |= XCR0_AVX;
	return used;
}

static void xsave_require(struct cpu *cpu)
{
	if (!(cpu->cr4 & CR4_OSXSAVE))
		raise_ud(cpu);
	if (cpu->cr0 & CR0_TS)
		raise_exception(cpu, EXCEPTION_NM);
}

/* Writes the parts that `components` names, and MXCSR if asked. The area has been probed. */
static void store_components(
	struct cpu *cpu, const struct insn *insn, u64 linear, u64 components, bool with_mxcsr)
{
	u8 image[512];

	legacy_put(cpu, insn, image);
	if (components & XCR0_X87) {
		store_bytes(cpu, linear, image, FPU_MXCSR);
		store_bytes(cpu, linear + FPU_ST, image + FPU_ST, FPU_XMM - FPU_ST);
	}
	if (components & XCR0_SSE)
		store_bytes(cpu, linear + FPU_XMM, image + FPU_XMM, xmm_bytes(cpu));
	if (with_mxcsr)
		store_bytes(cpu, linear + FPU_MXCSR, image + FPU_MXCSR, 8);
	if (components & XCR0_AVX)
		store_bytes(cpu, linear + FPU_XSAVE_LEGACY_SIZE, cpu->fpu.ymm_high, ymm_bytes(cpu));
}

static u64 xsave_area(struct cpu *cpu, const struct insn *insn)
{
	unsigned bytes;
	u64 linear;

	xsave_require(cpu);
	bytes = area_bytes(requested(cpu));
	linear = area_address(cpu, insn, bytes, 64, ACCESS_WRITE);
	paging_probe(cpu, linear, bytes, ACCESS_WRITE, cpu->tlb_mode);
	return linear;
}

static void xsave(struct cpu *cpu, const struct insn *insn, bool optimize)
{
	u64 linear = xsave_area(cpu, insn), mask = requested(cpu), used = in_use(&cpu->fpu);
	u64 old = load_64(cpu, linear + FPU_XSAVE_HEADER);

	store_components(
		cpu, insn, linear, optimize ? mask & used : mask, mask & (XCR0_SSE | XCR0_AVX));
	store_64(cpu, linear + FPU_XSAVE_HEADER, (old & ~mask) | (mask & used));
}

void execute_xsave(struct cpu *cpu, const struct insn *insn)
{
	xsave(cpu, insn, false);
}

void execute_xsaveopt(struct cpu *cpu, const struct insn *insn)
{
	xsave(cpu, insn, true);
}

/* The compacted form; here MXCSR is part of the SSE component. The header's other words stay: SDM volume 1, 13.10. */
void execute_xsavec(struct cpu *cpu, const struct insn *insn)
{
	u64 linear = xsave_area(cpu, insn), mask = requested(cpu), used = in_use(&cpu->fpu);

	if (fpu_get_32(&cpu->fpu, FPU_MXCSR) != FPU_MXCSR_DEFAULT)
		used |= XCR0_SSE;
	store_components(cpu, insn, linear, mask & used, mask & used & XCR0_SSE);
	store_64(cpu, linear + FPU_XSAVE_HEADER, mask & used);
	store_64(cpu, linear + FPU_XSAVE_HEADER + 8, mask | XSTATE_COMPACTED);
}

/* SDM volume 1, 13.8: what makes a header unacceptable. */
static void header_check(struct cpu *cpu, const struct xsave_header *header)
{
	bool compacted = header->xcomp_bv & XSTATE_COMPACTED;
	u64 allowed = cpu->xcr0;

	if (compacted) {
		if ((header->xcomp_bv & ~XSTATE_COMPACTED) & ~cpu->xcr0)
			raise_gp(cpu, 0);
		allowed = header->xcomp_bv & ~XSTATE_COMPACTED;
	}
	if ((header->xstate_bv & ~allowed) || (!compacted && header->xcomp_bv) ||
		!is_zero((const u8 *)header->reserved, compacted ? 48 : 8))
		raise_gp(cpu, 0);
}

void execute_xrstor(struct cpu *cpu, const struct insn *insn)
{
	u8 area[FPU_XSAVE_AVX_END];
	struct xsave_header header;
	struct fpu *fpu = &cpu->fpu;
	u64 mask = requested(cpu);
	u32 mxcsr;
	bool compacted, load_mxcsr;
	unsigned bytes;

	xsave_require(cpu);
	bytes = area_bytes(mask);
	load_bytes(cpu, area_address(cpu, insn, bytes, 64, ACCESS_READ), area, bytes);
	memcpy(&header, area + FPU_XSAVE_HEADER, sizeof(header));
	memcpy(&mxcsr, area + FPU_MXCSR, 4);
	header_check(cpu, &header);
	compacted = header.xcomp_bv & XSTATE_COMPACTED;
	load_mxcsr = mask & (compacted ? XCR0_SSE : XCR0_SSE | XCR0_AVX);
	if (compacted && !(header.xstate_bv & XCR0_SSE))
		mxcsr = FPU_MXCSR_DEFAULT;
	if (load_mxcsr) {
		mxcsr_check(cpu, mxcsr);
		fpu_set_32(fpu, FPU_MXCSR, mxcsr);
	}
	if (mask & header.xstate_bv & XCR0_SSE)
		memcpy(fpu->image + FPU_XMM, area + FPU_XMM, xmm_bytes(cpu));
	else if (mask & XCR0_SSE)
		memset(fpu->image + FPU_XMM, 0, xmm_bytes(cpu));
	if (mask & header.xstate_bv & XCR0_AVX)
		memcpy(fpu->ymm_high, area + FPU_XSAVE_LEGACY_SIZE, ymm_bytes(cpu));
	else if (mask & XCR0_AVX)
		memset(fpu->ymm_high, 0, ymm_bytes(cpu));
	if (mask & header.xstate_bv & XCR0_X87)
		x87_take(fpu, insn, area);
	else if (mask & XCR0_X87)
		x87_initialize(fpu);
}
