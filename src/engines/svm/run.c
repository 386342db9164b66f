/* SPDX-License-Identifier: MIT */
/* The engine's face, and its loop: what is pending, guest mode, the exit. */
#include "base/atomic.h"
#include "base/memory.h"
#include "core/host_processor.h"
#include "engines/svm/svm.h"
#include "engines/svm/vcpu.h"
#include "x86/fpu.h"
#include "x86/model.h"

void svm_enter(u64 vmcb, u64 *regs, u64 host_vmcb); /* enter.S */

/* ---- registers that guest and host share, and the VMCB has not ---- */

#define MSR_TSC_AUX 0xc0000103u

static void xcr0_set(u64 value)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"((u32)value), "d"((u32)(value >> 32)));
}

/* XSETBV is intercepted, but emulated processors (QEMU 7.2) carry it out all the same. */
static void xcr0_take_back(struct cpu *cpu, u64 host_xcr0)
{
	u64 now = svm_xcr0_get();
	if (fpu_xcr0_is_valid(cpu, now))
		cpu->xcr0 = now;
	if (now != host_xcr0)
		xcr0_set(host_xcr0);
}

static void debug_addresses_set(const struct cpu *cpu)
{
	__asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3"
			 :
			 : "r"(cpu->dr[0]), "r"(cpu->dr[1]), "r"(cpu->dr[2]), "r"(cpu->dr[3]));
}

static void tsc_aux_set(const struct cpu *cpu)
{
	__asm__ volatile("wrmsr" : : "c"(MSR_TSC_AUX), "a"((u32)cpu->msrs.tsc_aux), "d"(0));
}

/* Global interrupts are off: nothing comes between the guest's registers and the host's. */
static void enter(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct cpu *cpu = &vcpu->cpu;
	bool has_xsave = cpu_model_has(cpu->model, FEATURE_XSAVE);
	u64 host_xcr0 = has_xsave ? svm_xcr0_get() : 0;

	__asm__ volatile("clgi" : : : "memory");
	if (cpu_model_has(cpu->model, FEATURE_RDTSCP))
		tsc_aux_set(cpu);
	if (cpu->dr7 & 0xff)
		debug_addresses_set(cpu);
	if (has_xsave && cpu->xcr0 != host_xcr0)
		xcr0_set(cpu->xcr0);
	svm_enter(host_physical_address(svm->vmcb), cpu->regs, svm_processor_host_vmcb());
	if (has_xsave)
		xcr0_take_back(cpu, host_xcr0);
	__asm__ volatile("stgi" : : : "memory");
}

/* False: something has become pending meanwhile. */
static bool run_guest(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	svm_load(vcpu);
	svm_extended_load(vcpu);
	host_interrupts_disable();
	/* Whoever makes something pending from here on finds out where it runs, and its interrupt ends guest mode. */
	__atomic_store_n(&svm->running_on, host_processor_index(), __ATOMIC_SEQ_CST);
	bool enters = !(__atomic_load_n(&vcpu->cpu.pending, __ATOMIC_SEQ_CST) & ~svm->waiting);
	if (enters) {
		svm_processor_prepare(vcpu);
		enter(vcpu);
	}
	__atomic_store_n(&svm->running_on, SVM_NOWHERE, __ATOMIC_SEQ_CST);
	host_interrupts_enable();
	return enters;
}

static enum run_exit svm_run(struct vcpu *vcpu, u64 insns)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	enum run_exit exit;
	for (u64 exits = 0; !svm_see_to_pending(vcpu, &exit) && exits < insns; exits++) {
		if (!run_guest(vcpu))
			continue;
		svm->insns++;
		svm_handle_exit(vcpu);
	}
	if (svm->vmcb->event_injection & EVENT_VALID) /* struct cpu is to be all there is */
		svm_deliver(vcpu, svm->vmcb->event_injection);
	svm->vmcb->event_injection = 0;
	svm_unload(vcpu);
	svm_extended_unload(vcpu);
	return exit;
}

/* ---- the face ---- */

static enum status machine_attach(struct machine *machine)
{
	struct svm_machine *svm = host_memory_get(sizeof(*svm));
	if (!svm)
		return STATUS_NO_MEMORY;
	svm->efer_allowed = svm_efer_allowed();
	machine->engine_data = svm;
	enum status status = svm_nested_create(machine);
	if (status != STATUS_OK)
		host_memory_put(svm, sizeof(*svm));
	return status;
}

static void machine_detach(struct machine *machine)
{
	svm_nested_destroy(machine);
	host_memory_put(machine->engine_data, sizeof(struct svm_machine));
}

static enum status vcpu_attach(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = host_memory_get(sizeof(*svm));
	struct vmcb *vmcb = host_memory_get(sizeof(*vmcb));
	if (!svm || !vmcb) {
		host_memory_put(svm, sizeof(*svm));
		host_memory_put(vmcb, sizeof(*vmcb));
		return STATUS_NO_MEMORY;
	}
	svm->vmcb = vmcb;
	svm->running_on = svm->last_on = SVM_NOWHERE;
	vcpu->engine = svm;
	svm_vmcb_init(vcpu);
	return STATUS_OK;
}

static void vcpu_detach(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	host_memory_put(svm->vmcb, sizeof(struct vmcb));
	host_memory_put(svm, sizeof(*svm));
	vcpu->engine = NULL;
}

/* Nothing is made from guest memory: no page is watched. */
static void memory_changed(struct machine *machine, u64 gpa, u64 bytes, struct vcpu *by) {}

static u64 insns_retired(struct vcpu *vcpu)
{
	return svm_of(vcpu)->insns;
}

static void kick(struct vcpu *vcpu)
{
	u32 where = __atomic_load_n(&svm_of(vcpu)->running_on, __ATOMIC_SEQ_CST);
	if (where != SVM_NOWHERE)
		host_processor_kick(where);
}

/* Outside run, struct cpu has everything. */
static void pull_state(struct vcpu *vcpu) {}

static void push_state(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	svm->is_loaded = svm->extended_is_loaded = false;
	svm->vmcb->asid = 0; /* a new one: translations are another guest's now */
	svm_window_opened(vcpu);
}

const struct engine_ops engine_svm = {
	.name = "svm",
	.probe = svm_probe,
	.machine_attach = machine_attach,
	.machine_detach = machine_detach,
	.vcpu_attach = vcpu_attach,
	.vcpu_detach = vcpu_detach,
	.memory_changed = memory_changed,
	.run = svm_run,
	.insns_retired = insns_retired,
	.kick = kick,
	.pull_state = pull_state,
	.push_state = push_state,
};
