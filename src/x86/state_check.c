/* SPDX-License-Identifier: MIT */
/* What a saved state may hold: nothing that the rest of the library relies on to be impossible. */
#include "x86/cpu.h"
#include "x86/exceptions.h"
#include "x86/flags.h"
#include "x86/fpu.h"
#include "x86/model.h"
#include "x86/paging.h"

static bool control_is_valid(const struct cpu *cpu)
{
	u64 cr0_defined = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM |
		CR0_NW | CR0_CD | CR0_PG;
	bool paging = cpu->cr0 & CR0_PG;
	bool long_mode = paging && (cpu->efer & EFER_LME);

	if ((cpu->cr0 & ~cr0_defined) || (paging && !(cpu->cr0 & CR0_PE)))
		return false;
	if (cpu->cr4 & ~control_cr4_allowed(cpu))
		return false;
	if (((cpu->efer & EFER_LMA) != 0) != long_mode || (long_mode && !(cpu->cr4 & CR4_PAE)))
		return false;
	if ((cpu->cr4 & CR4_PCIDE) && !long_mode)
		return false;
	return !(cpu->cr3 & ~cpu->physical_mask) &&
		(!cpu->xcr0 || fpu_xcr0_is_valid(cpu, cpu->xcr0));
}

/* A base of over 32 bits may be left from long mode (FS, GS, LDTR, TR): legacy accesses cut what they add up. */
static bool segments_are_valid(const struct cpu *cpu)
{
	for (unsigned i = 0; i < SEGMENT_COUNT; i++) {
		const struct segment *segment = &cpu->segments[i];
		if (!address_is_canonical(segment->base) || (segment->attributes >> 13))
			return false;
	}
	return true;
}

/* CPL, the mode and the flags agree. */
static bool mode_is_valid(const struct cpu *cpu)
{
	bool vm86 = cpu_is_virtual_8086(cpu);
	if (vm86 && (!cpu_is_protected(cpu) || cpu_is_long_mode(cpu) || cpu->cpl != 3))
		return false;
	return cpu_is_protected(cpu) || cpu->cpl == 0;
}

bool cpu_state_is_valid(const struct cpu *cpu)
{
	u32 flags = RFLAGS_WRITABLE_OTHER | RFLAGS_FIXED;

	if ((cpu->other_flags & ~flags) || !(cpu->other_flags & RFLAGS_FIXED))
		return false;
	if (cpu->interrupt_shadow > (SHADOW_STI | SHADOW_MOV_SS) || cpu->nmi_blocked > 1)
		return false;
	if ((cpu->dr6 >> 32) || (cpu->dr7 >> 32))
		return false;
	if (!address_is_canonical(cpu->gdtr.base) || !address_is_canonical(cpu->idtr.base))
		return false;
	return control_is_valid(cpu) && segments_are_valid(cpu) && mode_is_valid(cpu);
}
