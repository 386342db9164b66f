/* SPDX-License-Identifier: MIT */
/*
 * CPU models: named tables of what CPUID says and which encodings exist, the same on every host.
 */
#ifndef X86_MODEL_H
#define X86_MODEL_H

#include "base/text.h"
#include "x86/cpu.h"

/* What the CPUID column of opcodes.table names; a bit each in model->features. The generator makes the list. */
#include "x86/features.h"

struct cpuid_leaf {
	u32 leaf, subleaf; /* subleaf ~0: any */
	u32 eax, ebx, ecx, edx;
};

struct cpu_model {
	const char *name; /* "x86-64-v2" */
	u64 features;	  /* BIT(enum cpu_feature) */
	u8 physical_bits; /* MAXPHYADDR */
	const struct cpuid_leaf *leaves;
	unsigned leaf_count;
};

/* NULL when there is none of that name. */
const struct cpu_model *cpu_model_find(const char *name);
/* From 0, each offering all of those before it; NULL after the last. */
const struct cpu_model *cpu_model_at(unsigned index);
bool cpu_model_has(const struct cpu_model *model, enum cpu_feature feature);

/* ---- the processor below: model_host.c ---- */

/* What it has of enum cpu_feature, AVX only where its system saves the state. */
u64 cpu_host_features(void);
/* Whether engines can run the model where the host has these features; what lacks is appended to *missing, if not NULL. */
bool cpu_model_runs_on(const struct cpu_model *model, u64 host, struct text *missing);
/* The last model that runs there; NULL: none. */
const struct cpu_model *cpu_model_best(u64 host);

/* ---- what the guest sees ---- */

/* CPUID with everything dynamic filled in (OSXSAVE, APIC id, topology, XCR0 sizes, hypervisor leaves). */
void cpuid_read(struct cpu *cpu, u32 leaf, u32 subleaf, u32 result[4]);

/* CPUID 1 EAX: family, model, stepping; also EDX after reset. */
u32 cpu_signature(const struct cpu *cpu);

/* The registers of struct msr_state as power-on leaves them. */
void msr_reset(struct cpu *cpu);

/* RDMSR, WRMSR of any register: false where there is none or the value is bad (#GP). No privilege check. */
bool msr_read(struct cpu *cpu, u32 index, u64 *value);
bool msr_write(struct cpu *cpu, u32 index, u64 value);

#endif
