/* SPDX-License-Identifier: MIT */
/*
 * The engine's part of a vCPU, and what its files have between them. Outside run, struct cpu is complete; within, the processor's own state is in the
 * VMCB and in the machine's registers, and moves to struct cpu when something has to be emulated: "loaded" says which half is right.
 */
#ifndef ENGINES_SVM_VCPU_H
#define ENGINES_SVM_VCPU_H

#include "core/machine.h"
#include "engines/svm/vmcb.h"
#include "x86/insn.h"

#define SVM_NOWHERE (~0u)
#define SVM_EXTENDED_BYTES 1024

struct svm_vcpu {
	struct vmcb *vmcb;
	u8 extended[SVM_EXTENDED_BYTES] __attribute__((aligned(64))); /* XSAVE's form */
	bool is_loaded;		 /* the VMCB has the state, not struct cpu */
	bool extended_is_loaded; /* the machine's registers have x87, SSE and AVX */
	u32 waiting; /* bits of pending that have been seen, and wait for the guest to be ready */
	u32 running_on;	  /* atomic: the processor in whose guest mode it is, or SVM_NOWHERE */
	unsigned last_on; /* where its ASID is from */
	u64 asid_generation;
	u64 insns;	  /* exits, rather: nobody counts instructions here */
	struct insn insn; /* being emulated */
};

struct svm_machine {
	u64 *nested_root;
	u64 nested_root_physical;
	u64 efer_allowed;
};

static always_inline struct svm_vcpu *svm_of(struct vcpu *vcpu)
{
	return vcpu->engine;
}

static always_inline u64 svm_xcr0_get(void)
{
	u32 low, high;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low | (u64)high << 32;
}

/* state.c: between VMCB and struct cpu. */
void svm_load(struct vcpu *vcpu);   /* into the VMCB, if it is not there */
void svm_unload(struct vcpu *vcpu); /* into struct cpu, if it is not there */
void svm_extended_load(struct vcpu *vcpu);
void svm_extended_unload(struct vcpu *vcpu);
/* The part of the VMCB that never changes. */
void svm_vmcb_init(struct vcpu *vcpu);

/* nested.c: guest-physical memory. */
enum status svm_nested_create(struct machine *machine) must_use;
void svm_nested_destroy(struct machine *machine);

/* processor.c: what belongs to each of the machine's processors. With interrupts disabled. */
enum status svm_probe(struct error *error);
/* Turns SVM on here if it is not, and gives the vCPU an ASID of this processor. */
void svm_processor_prepare(struct vcpu *vcpu);
u64 svm_processor_host_vmcb(void);
/* The bits of EFER that guest mode takes. */
u64 svm_efer_allowed(void);
/* What guests may do themselves. */
u64 svm_msr_permissions(void);
u64 svm_io_permissions(void);

/* emulate.c: one instruction, by src/x86. Faults are delivered. */
void svm_emulate(struct vcpu *vcpu);
/* An event whose delivery has led to an exit, delivered by src/x86. */
void svm_deliver(struct vcpu *vcpu, u64 event);

/* inject.c: what is pending. True: run is to end, *exit is why. */
bool svm_see_to_pending(struct vcpu *vcpu, enum run_exit *exit);
void svm_window_opened(struct vcpu *vcpu);

/* exits.c */
void svm_handle_exit(struct vcpu *vcpu);

#endif
