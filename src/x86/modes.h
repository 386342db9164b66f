/* SPDX-License-Identifier: MIT */
/* cpu_mode_changed's parts, for the transfers that know what stays. */
#ifndef X86_MODES_H
#define X86_MODES_H

#include "x86/cpu.h"

/* The TLB mode of data accesses by code at cpl, but for alignment checks. */
static always_inline unsigned tlb_mode_for(const struct cpu *cpu, unsigned cpl)
{
	if (cpl == 3)
		return TLB_USER;
	return (cpu->cr4 & CR4_SMAP) && !(cpu->other_flags & RFLAGS_AC) ? TLB_SUPERVISOR
									: TLB_SUPERVISOR_USER_OK;
}

/* CPL or RFLAGS.AC changed, and nothing else. */
static always_inline void cpu_privilege_changed(struct cpu *cpu)
{
	unsigned mode = tlb_mode_for(cpu, cpu->cpl);
	if (unlikely(cpu->cr0 & CR0_AM) && cpu->cpl == 3 && (cpu->other_flags & RFLAGS_AC))
		mode = TLB_USER_ALIGNED;
	cpu->tlb_mode = (u8)mode;
	cpu->data_tlb = cpu->tlb.by_mode[mode];
	cpu_end_block(cpu);
}

/* CS is one of 64-bit code now; CPL, SS and RFLAGS.AC may have changed, too. */
static always_inline void cpu_mode_is_64(struct cpu *cpu)
{
	cpu->code_size = cpu->stack_size = SIZE_64;
	cpu_privilege_changed(cpu);
}

#endif
