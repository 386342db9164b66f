/* SPDX-License-Identifier: MIT */
/*
 * What the processor below has, and which models it can be. Engines may run an instruction as itself, so a model is for
 * hosts that have all of it that does not touch system state (such as PCID), which is always lodge's own.
 */
#include <cpuid.h>

#include "base/text.h"
#include "x86/model.h"

enum { EAX, EBX, ECX, EDX };

static const struct {
	const char *name;
	u8 feature;
} executed[] = {
	{"FXSR", FEATURE_FXSR},
	{"SSE2", FEATURE_SSE2},
	{"SSE3", FEATURE_SSE3},
	{"PCLMULQDQ", FEATURE_PCLMUL},
	{"SSSE3", FEATURE_SSSE3},
	{"CMPXCHG16B", FEATURE_CX16},
	{"SSE4.1", FEATURE_SSE41},
	{"SSE4.2", FEATURE_SSE42},
	{"POPCNT", FEATURE_POPCNT},
	{"AES", FEATURE_AES},
	{"LAHF", FEATURE_LAHF64},
	{"AVX", FEATURE_AVX},
	{"AVX2", FEATURE_AVX2},
	{"FMA", FEATURE_FMA},
	{"F16C", FEATURE_F16C},
	{"BMI1", FEATURE_BMI1},
	{"BMI2", FEATURE_BMI2},
	{"LZCNT", FEATURE_ABM},
	{"MOVBE", FEATURE_MOVBE},
};

/* CPUID.1 ECX.OSXSAVE, and XCR0 has the SSE and AVX state: SDM volume 1, 14.3. */
static bool host_saves_avx(void)
{
	u32 r[4], xcr0, high;

	if (!__get_cpuid(1, &r[EAX], &r[EBX], &r[ECX], &r[EDX]) || !(r[ECX] >> 27 & 1))
		return false;
	__asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
	return (xcr0 & (XCR0_SSE | XCR0_AVX)) == (XCR0_SSE | XCR0_AVX);
}

u64 cpu_host_features(void)
{
	static const struct {
		u32 leaf;
		u8 feature, reg, bit;
	} bits[] = {
#define CPUID_BIT(feature, leaf, reg, bit) {leaf, FEATURE_##feature, reg, bit},
#include "x86/cpuid.def"
#undef CPUID_BIT
	};
	u64 features = BIT(FEATURE_BASE);
	u32 r[4] = {0},
	    leaf = 0; /* each leaf is asked once: in a virtual machine CPUID takes long */

	for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
		if (bits[i].leaf != leaf) {
			leaf = bits[i].leaf;
			if (!__get_cpuid_count(
				    leaf, leaf == 0xd, &r[EAX], &r[EBX], &r[ECX], &r[EDX]))
				r[EAX] = r[EBX] = r[ECX] = r[EDX] = 0;
		}
		if (r[bits[i].reg] >> bits[i].bit & 1)
			features |= BIT(bits[i].feature);
	}
	if (!host_saves_avx()) /* then it is as if there were none */
		features &= ~(BIT(FEATURE_AVX) | BIT(FEATURE_AVX2) | BIT(FEATURE_FMA) |
			BIT(FEATURE_F16C));
	return features;
}

bool cpu_model_runs_on(const struct cpu_model *model, u64 host, struct text *missing)
{
	bool has_all = true;

	for (unsigned i = 0; i < ARRAY_SIZE(executed); i++) {
		if (!(model->features & ~host & BIT(executed[i].feature)))
			continue;
		if (missing)
			text_format(missing, "%s%s", has_all ? "" : " ", executed[i].name);
		has_all = false;
	}
	return has_all;
}

const struct cpu_model *cpu_model_best(u64 host)
{
	const struct cpu_model *best = NULL;

	for (unsigned i = 0; cpu_model_at(i); i++)
		if (cpu_model_runs_on(cpu_model_at(i), host, NULL))
			best = cpu_model_at(i);
	return best;
}
