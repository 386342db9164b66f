/* SPDX-License-Identifier: MIT */
/* The state itself: reset, tags, the register stack's rotation, and what is asked of the host. */
#include "base/memory.h"
#include "x86/address.h"
#include "x86/fpu_require.h"
#include "x86/model.h"
#include "x86/paging.h"

_Static_assert(offsetof(struct fpu, image) % 16 == 0, "FXSAVE images are aligned");

void fpu_reset(struct fpu *fpu)
{
	memset(fpu, 0, sizeof(*fpu));
	fpu_set_16(fpu, FPU_FCW, FPU_FCW_RESET);
	fpu->image[FPU_FTW] = 0xff;
	fpu_set_32(fpu, FPU_MXCSR, FPU_MXCSR_DEFAULT);
	fpu_set_32(fpu, FPU_MXCSR_MASK, FPU_MXCSR_VALID);
}

void fpu_sanitize(struct fpu *fpu)
{
	fpu_set_16(fpu, FPU_FCW, (fpu_get_16(fpu, FPU_FCW) & 0x1f3f) | 0x40);
	fpu_set_16(fpu, FPU_FTW, fpu->image[FPU_FTW]);
	fpu_set_16(fpu, FPU_FOP, fpu_get_16(fpu, FPU_FOP) & 0x7ff);
	fpu_set_32(fpu, FPU_MXCSR, fpu_get_32(fpu, FPU_MXCSR) & FPU_MXCSR_VALID);
	fpu_set_32(fpu, FPU_MXCSR_MASK, FPU_MXCSR_VALID);
	for (unsigned i = 0; i < 8; i++)
		memset(fpu->image + FPU_ST + 16 * i + 10, 0, 6);
	memset(fpu->image + FPU_XMM_END, 0, sizeof(fpu->image) - FPU_XMM_END);
	fpu_update_summary(fpu);
}

/* Two bits of the full tag word for one 80-bit register: 0 valid, 1 zero, 2 special. */
static u16 register_tag(const struct fpu *fpu, unsigned offset)
{
	u64 significand = fpu_get_64(fpu, offset);
	unsigned exponent = fpu_get_16(fpu, offset + 8) & 0x7fff;

	if (!exponent && !significand)
		return 1;
	return exponent && exponent != 0x7fff && significand >> 63 ? 0 : 2;
}

u16 fpu_tag_word(const struct fpu *fpu)
{
	u16 tags = 0;

	for (unsigned i = 0; i < 8; i++) {
		unsigned slot = (i - fpu_top(fpu)) & 7;
		u16 tag = fpu->image[FPU_FTW] >> i & 1 ? register_tag(fpu, FPU_ST + 16 * slot) : 3;
		tags |= (u16)(tag << (2 * i));
	}
	return tags;
}

/* Ten bytes as FSTP has written them: accesses of other sizes would have to wait for it. The rest of a slot is always zero. */
static void slot_copy(u8 *to, const u8 *from)
{
	ram_store_64(to, ram_load_64(from));
	ram_store_16(to + 8, ram_load_16(from + 8));
}

static void stack_push(u8 *stack)
{
	u8 last[16];
	slot_copy(last, stack + 16 * 7);
	for (unsigned i = 7; i; i--)
		slot_copy(stack + 16 * i, stack + 16 * (i - 1));
	slot_copy(stack, last);
}

static void stack_pop(u8 *stack)
{
	u8 first[16];
	slot_copy(first, stack);
	for (unsigned i = 0; i < 7; i++)
		slot_copy(stack + 16 * i, stack + 16 * (i + 1));
	slot_copy(stack + 16 * 7, first);
}

void fpu_set_top(struct fpu *fpu, unsigned top)
{
	unsigned delta = (top - fpu_top(fpu)) & 7;

	if (delta == 7)
		stack_push(fpu->image + FPU_ST);
	else
		for (; delta; delta--)
			stack_pop(fpu->image + FPU_ST);
	fpu_set_16(fpu, FPU_FSW, (fpu_get_16(fpu, FPU_FSW) & ~FSW_TOP) | (u16)((top & 7) << 11));
}

void mmx_enter_slow(struct fpu *fpu)
{
	fpu_set_top(fpu, 0);
	fpu->image[FPU_FTW] = 0xff;
}

cold void fpu_raise_unavailable(struct cpu *cpu)
{
	if ((cpu->cr0 & CR0_EM) || !(cpu->cr4 & CR4_OSFXSR))
		raise_ud(cpu);
	raise_exception(cpu, EXCEPTION_NM);
}

/* With NE clear the PC's wiring turns FERR# into IRQ 13, and what follows is as with IGNNE#. */
cold void fpu_raise_pending(struct cpu *cpu)
{
	if (cpu->cr0 & CR0_NE)
		raise_exception(cpu, EXCEPTION_MF);
	if (cpu->environment->fpu_error)
		cpu->environment->fpu_error(cpu);
}

void fpu_store_masked(
	struct cpu *cpu, const struct insn *insn, const u8 *from, const u8 *mask, unsigned bytes)
{
	u64 offset = cpu->regs[RDI], linear;
	unsigned any = 0;

	if (insn->address_size != SIZE_64)
		offset = insn->address_size == SIZE_32 ? (u32)offset : (u16)offset;
	linear = segment_linear(cpu, insn->segment, offset, bytes, ACCESS_WRITE);
	/* Paging would take an operand that ModRM does not name for the stack. */
	if (!address_is_canonical(linear))
		raise_gp(cpu, 0);
	for (unsigned i = 0; i < bytes; i++)
		any |= mask[i] & 0x80;
	if (!any)
		return;
	paging_probe(cpu, linear, bytes, ACCESS_WRITE, cpu->tlb_mode);
	for (unsigned i = 0; i < bytes; i++)
		if (mask[i] & 0x80)
			store_8(cpu, linear + i, from[i]);
}

bool fpu_xcr0_is_valid(const struct cpu *cpu, u64 value)
{
	u64 supported = XCR0_X87 | XCR0_SSE;

	if (cpu_model_has(cpu->model, FEATURE_AVX))
		supported |= XCR0_AVX;
	if ((value & XCR0_AVX) && !(value & XCR0_SSE))
		return false;
	return (value & XCR0_X87) && !(value & ~supported);
}
