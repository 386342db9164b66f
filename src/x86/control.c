/* SPDX-License-Identifier: MIT */
/* CR0, CR3, CR4 and EFER: APM volume 2 chapter 3.1; SDM volume 3, 2.5. */
#include "x86/exceptions.h"
#include "x86/model.h"
#include "x86/page_walk.h"
#include "x86/paging.h"
#include "x86/raise.h"

#define CR0_DEFINED                                                                                \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
		CR0_PG)

/* PAE paging outside long mode reads its four pointers whenever these registers change. */
static void pdptes_load(struct cpu *cpu, u64 cr0, u64 cr3, u64 cr4, u64 efer)
{
	if ((cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LME) &&
		!page_walk_load_pdptes(cpu, cr3))
		raise_gp(cpu, 0);
}

static void cr0_check(struct cpu *cpu, u64 value)
{
	bool in_64_bit_code = cpu_is_64_bit(cpu);
	bool turns_on = (value & CR0_PG) && !(cpu->cr0 & CR0_PG);
	bool turns_off = !(value & CR0_PG) && (cpu->cr0 & CR0_PG);

	if ((value >> 32) || ((value & CR0_PG) && !(value & CR0_PE)) ||
		((value & CR0_NW) && !(value & CR0_CD)))
		raise_gp(cpu, 0);
	if (turns_on && (cpu->efer & EFER_LME) &&
		(!(cpu->cr4 & CR4_PAE) || (cpu->segments[SEGMENT_CS].attributes & SEGMENT_L)))
		raise_gp(cpu, 0);
	if (turns_off && (in_64_bit_code || (cpu->cr4 & CR4_PCIDE)))
		raise_gp(cpu, 0);
}

void control_set_cr0(struct cpu *cpu, u64 value)
{
	u64 changed;

	cr0_check(cpu, value);
	value = (value & CR0_DEFINED) | CR0_ET;
	changed = value ^ cpu->cr0;
	if (changed & (CR0_PG | CR0_CD | CR0_NW))
		pdptes_load(cpu, value, cpu->cr3, cpu->cr4, cpu->efer);
	cpu->cr0 = value;
	if (changed & CR0_PG) {
		if ((value & CR0_PG) && (cpu->efer & EFER_LME))
			cpu->efer |= EFER_LMA;
		else
			cpu->efer &= ~EFER_LMA;
	}
	if (changed & (CR0_PG | CR0_WP | CR0_PE))
		paging_flush(cpu);
	cpu_mode_changed(cpu);
}

void control_set_cr3(struct cpu *cpu, u64 value)
{
	bool keeps = false;

	if (cpu->cr4 & CR4_PCIDE) {
		keeps = value & BIT(63);
		value &= ~BIT(63);
	}
	if (cpu_is_long_mode(cpu) && (value & ~cpu->physical_mask))
		raise_gp(cpu, 0);
	pdptes_load(cpu, cpu->cr0, value, cpu->cr4, cpu->efer);
	cpu->cr3 = value;
	paging_cr3_changed(cpu, keeps);
}

u64 control_cr4_allowed(const struct cpu *cpu)
{
	static const struct {
		u8 feature;
		u32 bits;
	} by_feature[] = {
		{FEATURE_FXSR, CR4_OSFXSR},
		{FEATURE_SSE, CR4_OSXMMEXCPT},
		{FEATURE_UMIP, CR4_UMIP},
		{FEATURE_FSGSBASE, CR4_FSGSBASE},
		{FEATURE_PCID, CR4_PCIDE},
		{FEATURE_XSAVE, CR4_OSXSAVE},
		{FEATURE_SMEP, CR4_SMEP},
		{FEATURE_SMAP, CR4_SMAP},
	};
	u64 allowed = CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE;
	for (unsigned i = 0; i < ARRAY_SIZE(by_feature); i++)
		if (cpu_model_has(cpu->model, by_feature[i].feature))
			allowed |= by_feature[i].bits;
	return allowed;
}

void control_set_cr4(struct cpu *cpu, u64 value)
{
	u64 changed = value ^ cpu->cr4;
	u64 flushing = CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP;

	if (value & ~control_cr4_allowed(cpu))
		raise_gp(cpu, 0);
	if (cpu_is_long_mode(cpu) && !(value & CR4_PAE))
		raise_gp(cpu, 0);
	if ((changed & value & CR4_PCIDE) && (!cpu_is_long_mode(cpu) || (cpu->cr3 & 0xfff)))
		raise_gp(cpu, 0);
	if (changed & (CR4_PAE | CR4_PSE | CR4_PGE | CR4_SMEP))
		pdptes_load(cpu, cpu->cr0, cpu->cr3, value, cpu->efer);
	cpu->cr4 = value;
	if (changed & flushing)
		paging_flush(cpu);
	cpu_mode_changed(cpu);
}

/* EFER.AutoIBRS, CPUID 8000_0021 EAX bit 8: nothing speculates here, so it does nothing. */
#define EFER_AUTOIBRS BIT(21)

bool control_efer_allows(const struct cpu *cpu, u64 value)
{
	u64 allowed = EFER_LMA | EFER_AUTOIBRS;
	if (cpu_model_has(cpu->model, FEATURE_SYSCALL))
		allowed |= EFER_SCE;
	if (cpu_model_has(cpu->model, FEATURE_LM))
		allowed |= EFER_LME;
	if (cpu_model_has(cpu->model, FEATURE_NX))
		allowed |= EFER_NXE;
	if (value & ~allowed)
		return false;
	return !((value ^ cpu->efer) & EFER_LME) || !(cpu->cr0 & CR0_PG);
}

/* LMA cannot be written: APM volume 2, 3.1.7. */
void control_set_efer(struct cpu *cpu, u64 value)
{
	if (!control_efer_allows(cpu, value))
		raise_gp(cpu, 0);
	bool flushes = (value ^ cpu->efer) & EFER_NXE;
	cpu->efer = (value & ~EFER_LMA) | (cpu->efer & EFER_LMA);
	if (flushes)
		paging_flush(cpu);
}
