/* SPDX-License-Identifier: MIT */
#include "x86/model.h"

#define F(name) BIT(FEATURE_##name)

/* x86-64-v2 as the psABI has it, and what a processor without AVX may have beside it. */
#define FEATURES_V2                                                                             \
	(F(BASE) | F(X87) | F(CMOV) | F(CX8) | F(MMX) | F(SSE) | F(SSE2) | F(SSE3) | F(SSSE3) | \
		F(SSE41) | F(SSE42) | F(POPCNT) | F(CX16) | F(LAHF64) | F(FXSR) | F(XSAVE) |    \
		F(XSAVEOPT) | F(XSAVEC) | F(AES) | F(PCLMUL) | F(RDRAND) | F(RDTSCP) |          \
		F(SYSCALL) | F(SYSENTER) | F(LM) | F(NX) | F(CLFLUSH) | F(INVPCID) | F(PCID) |  \
		F(SMEP) | F(SMAP) | F(FSGSBASE) | F(PREFETCHW) | F(TSC) | F(MSR) | F(ERMS))

/* x86-64-v3 as the psABI has it. */
#define FEATURES_V3 \
	(FEATURES_V2 | F(AVX) | F(AVX2) | F(BMI1) | F(BMI2) | F(F16C) | F(FMA) | F(ABM) | F(MOVBE))

#define CPUID_LEAF(leaf, subleaf, eax, ebx, ecx, edx) \
	{leaf, subleaf, (u32)(eax), (u32)(ebx), (u32)(ecx), (u32)(edx)},

static const struct cpuid_leaf leaves_v2[] = {
#define CPUID_LEVEL '2'
#include "x86/cpuid.def"
#undef CPUID_LEVEL
};

static const struct cpuid_leaf leaves_v3[] = {
#define CPUID_LEVEL '3'
#include "x86/cpuid.def"
#undef CPUID_LEVEL
};

#undef CPUID_LEAF

static const struct cpu_model models[] = {
	{"x86-64-v2", FEATURES_V2, 46, leaves_v2, ARRAY_SIZE(leaves_v2)},
	{"x86-64-v3", FEATURES_V3, 46, leaves_v3, ARRAY_SIZE(leaves_v3)},
};

const struct cpu_model *cpu_model_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(models); i++)
		if (text_equal(models[i].name, name))
			return &models[i];
	return NULL;
}

const struct cpu_model *cpu_model_at(unsigned index)
{
	return index < ARRAY_SIZE(models) ? &models[index] : NULL;
}

bool cpu_model_has(const struct cpu_model *model, enum cpu_feature feature)
{
	return model->features >> feature & 1;
}
