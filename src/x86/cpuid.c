/* SPDX-License-Identifier: MIT */
#include "base/memory.h"
#include "x86/environment.h"
#include "x86/fpu.h"
#include "x86/model.h"

enum { EAX, EBX, ECX, EDX };

/* Which bit announces a feature; in leaf Dh they are in subleaf 1. */
static const struct feature_bit {
	u8 feature;
	u8 reg;
	u8 bit;
	u32 leaf;
} feature_bits[] = {
#define CPUID_BIT(feature, leaf, reg, bit) {FEATURE_##feature, reg, bit, leaf},
#include "x86/cpuid.def"
#undef CPUID_BIT
};

static void read_static(const struct cpu_model *model, u32 leaf, u32 subleaf, u32 result[4])
{
	const struct cpuid_leaf *row = NULL;

	for (unsigned i = 0; i < model->leaf_count && !row; i++)
		if (model->leaves[i].leaf == leaf &&
			(model->leaves[i].subleaf == subleaf || model->leaves[i].subleaf == ~0u))
			row = &model->leaves[i];
	if (!row)
		return;
	result[EAX] = row->eax;
	result[EBX] = row->ebx;
	result[ECX] = row->ecx;
	result[EDX] = row->edx;
	if ((leaf == 7 && subleaf) || (leaf == 0xd && subleaf != 1))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(feature_bits); i++)
		if (feature_bits[i].leaf == leaf && cpu_model_has(model, feature_bits[i].feature))
			result[feature_bits[i].reg] |= 1u << feature_bits[i].bit;
}

/* Bits of an APIC id that tell this machine's processors apart. */
static u32 id_bits(const struct cpu *cpu)
{
	u32 bits = 0;
	while (bits < 31 && (1u << bits) < cpu->cpu_count)
		bits++;
	return bits;
}

static void topology(const struct cpu *cpu, u32 subleaf, u32 result[4])
{
	result[ECX] = subleaf & 0xff;
	result[EDX] = cpu->apic_id;
	if (subleaf == 0) { /* one thread a core */
		result[EBX] = 1;
		result[ECX] |= 1 << 8;
	} else if (subleaf == 1) {
		result[EAX] = id_bits(cpu);
		result[EBX] = MAX(cpu->cpu_count, 1u);
		result[ECX] |= 2 << 8;
	}
}

/* TSC frequency = ECX * EBX / EAX. */
static void tsc_frequency(const struct cpu *cpu, u32 result[4])
{
	u32 shift = 0;
	while (cpu->tsc_hz >> shift > 0xffffffff)
		shift++;
	result[EAX] = 1;
	result[EBX] = 1u << shift;
	result[ECX] = (u32)(cpu->tsc_hz >> shift);
}

/* Leaf Dh of a model with AVX: the component's place and what XCR0 asks for. SDM volume 1, 13.2. */
static void xsave_sizes(const struct cpu *cpu, u32 subleaf, u32 result[4])
{
	u32 bytes = cpu->xcr0 & XCR0_AVX ? FPU_XSAVE_AVX_END : FPU_XSAVE_LEGACY_SIZE;

	if (subleaf == 0) {
		result[EAX] |= XCR0_AVX;
		result[EBX] = bytes;
		result[ECX] = FPU_XSAVE_AVX_END;
	} else if (subleaf == 1) {
		result[EBX] = bytes;
	} else if (subleaf == 2) {
		result[EAX] = FPU_XSAVE_AVX_END - FPU_XSAVE_LEGACY_SIZE;
		result[EBX] = FPU_XSAVE_LEGACY_SIZE;
	}
}

#define MSR_APIC_BASE 0x1b
#define APIC_BASE_ENABLE BIT(11)

static void leaf_1(struct cpu *cpu, u32 result[4])
{
	u64 apic_base;

	if (cpu->environment->msr_read(cpu, MSR_APIC_BASE, &apic_base) &&
		!(apic_base & APIC_BASE_ENABLE))
		result[EDX] &= ~(u32)BIT(9); /* APIC: APM volume 2, 16.3.1 */
	result[EBX] |= (cpu->apic_id & 0xff) << 24 | (MIN(cpu->cpu_count, 255u) & 0xff) << 16;
	if (cpu->cpu_count > 1)
		result[EDX] |= BIT(28); /* HTT: more than one */
	if (cpu->cr4 & CR4_OSXSAVE)
		result[ECX] |= BIT(27);
}

void cpuid_read(struct cpu *cpu, u32 leaf, u32 subleaf, u32 result[4])
{
	memset(result, 0, 4 * sizeof(*result));
	if (leaf >> 8 == 0x400000) {
		if (!cpu->environment->cpuid(cpu, leaf, subleaf, result))
			memset(result, 0, 4 * sizeof(*result));
		return;
	}
	read_static(cpu->model, leaf, subleaf, result);
	switch (leaf) {
	case 0x1:
		leaf_1(cpu, result);
		break;
	case 0xb:
		topology(cpu, subleaf, result);
		break;
	case 0xd:
		if (cpu_model_has(cpu->model, FEATURE_AVX))
			xsave_sizes(cpu, subleaf, result);
		break;
	case 0x15:
		tsc_frequency(cpu, result);
		break;
	case 0x16: /* MHz: base, maximum, bus */
		result[EAX] = result[EBX] = (u32)((cpu->tsc_hz + 500000) / 1000000) & 0xffff;
		result[ECX] = 100;
		break;
	case 0x80000001:
		if (cpu->cpu_count > 1)
			result[ECX] |= BIT(1); /* CmpLegacy */
		break;
	case 0x80000008:
		result[ECX] = id_bits(cpu) << 12 | ((MAX(cpu->cpu_count, 1u) - 1) & 0xff);
		break;
	}
}

u32 cpu_signature(const struct cpu *cpu)
{
	u32 result[4] = {0};
	read_static(cpu->model, 1, 0, result);
	return result[EAX];
}
