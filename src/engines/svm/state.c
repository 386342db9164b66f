/* SPDX-License-Identifier: MIT */
/* The guest's state between struct cpu, which emulation works on, and the VMCB and the machine's registers, which guest mode does. */
#include "base/memory.h"
#include "core/host_processor.h"
#include "engines/svm/vcpu.h"
#include "x86/flags.h"
#include "x86/fpu.h"
#include "x86/model.h"
#include "x86/page_walk.h"
#include "x86/paging.h"

#define EFER_SVME BIT(12)
/* With nested paging these would take the caches from the guest alone; they are kept, and not put into force. */
#define CR0_CACHE (CR0_CD | CR0_NW)

/* ---- segments ---- */

static const struct {
	u8 name; /* enum segment_name */
	u16 at;
} segments[] = {
	{SEGMENT_ES, offsetof(struct vmcb, es)},
	{SEGMENT_CS, offsetof(struct vmcb, cs)},
	{SEGMENT_SS, offsetof(struct vmcb, ss)},
	{SEGMENT_DS, offsetof(struct vmcb, ds)},
	{SEGMENT_FS, offsetof(struct vmcb, fs)},
	{SEGMENT_GS, offsetof(struct vmcb, gs)},
	{SEGMENT_LDTR, offsetof(struct vmcb, ldtr)},
	{SEGMENT_TR, offsetof(struct vmcb, tr)},
};

static struct vmcb_segment *segment_at(struct vmcb *vmcb, unsigned i)
{
	return (struct vmcb_segment *)((u8 *)vmcb + segments[i].at);
}

static void segments_load(struct vmcb *vmcb, const struct cpu *cpu)
{
	for (unsigned i = 0; i < ARRAY_SIZE(segments); i++) {
		const struct segment *from = &cpu->segments[segments[i].name];
		bool is_usable = !(from->attributes & SEGMENT_UNUSABLE);
		*segment_at(vmcb, i) = (struct vmcb_segment){
			.selector = from->selector,
			.attributes = is_usable ? from->attributes & 0xfff : 0,
			.limit = from->limit,
			.base = from->base,
		};
	}
	vmcb->gdtr.base = cpu->gdtr.base;
	vmcb->gdtr.limit = cpu->gdtr.limit;
	vmcb->idtr.base = cpu->idtr.base;
	vmcb->idtr.limit = cpu->idtr.limit;
}

static void segments_unload(struct cpu *cpu, struct vmcb *vmcb)
{
	for (unsigned i = 0; i < ARRAY_SIZE(segments); i++) {
		const struct vmcb_segment *from = segment_at(vmcb, i);
		bool is_usable = from->attributes & SEGMENT_P;
		cpu->segments[segments[i].name] = (struct segment){
			.base = from->base,
			.limit = from->limit,
			.selector = from->selector,
			.attributes = is_usable ? from->attributes & 0xfff : SEGMENT_UNUSABLE,
		};
	}
	cpu->gdtr = (struct descriptor_table){vmcb->gdtr.base, (u16)vmcb->gdtr.limit};
	cpu->idtr = (struct descriptor_table){vmcb->idtr.base, (u16)vmcb->idtr.limit};
}

/* ---- registers that only VMLOAD and VMSAVE move ---- */

static void system_registers_load(struct vmcb *vmcb, const struct msr_state *msrs)
{
	vmcb->star = msrs->star;
	vmcb->lstar = msrs->lstar;
	vmcb->cstar = msrs->cstar;
	vmcb->sfmask = msrs->sfmask;
	vmcb->kernel_gs_base = msrs->kernel_gs_base;
	vmcb->sysenter_cs = msrs->sysenter_cs;
	vmcb->sysenter_esp = msrs->sysenter_esp;
	vmcb->sysenter_eip = msrs->sysenter_eip;
	vmcb->pat = msrs->pat;
}

static void system_registers_unload(struct msr_state *msrs, const struct vmcb *vmcb)
{
	msrs->star = vmcb->star;
	msrs->lstar = vmcb->lstar;
	msrs->cstar = vmcb->cstar;
	msrs->sfmask = vmcb->sfmask;
	msrs->kernel_gs_base = vmcb->kernel_gs_base;
	msrs->sysenter_cs = vmcb->sysenter_cs;
	msrs->sysenter_esp = vmcb->sysenter_esp;
	msrs->sysenter_eip = vmcb->sysenter_eip;
}

/* ---- control registers ---- */

static void intercept_set(struct vmcb *vmcb, enum vmcb_exit exit, bool on)
{
	u32 bit = 1u << (exit % 32);
	u32 *word = &vmcb->intercepts[exit / 32];
	*word = on ? *word | bit : *word & ~bit;
}

static void control_load(struct vmcb *vmcb, const struct cpu *cpu, u64 efer_allowed)
{
	bool hides_cache_bits = cpu->cr0 & CR0_CACHE;
	vmcb->cr0 = cpu->cr0 & ~CR0_CACHE;
	vmcb->cr2 = cpu->cr2;
	vmcb->cr3 = cpu->cr3;
	vmcb->cr4 = cpu->cr4;
	vmcb->efer = (cpu->efer | EFER_SVME) & efer_allowed;
	vmcb->dr6 = cpu->dr6;
	vmcb->dr7 = cpu->dr7;
	vmcb->cpl = cpu->cpl;
	/* Writes of TS and MP alone are the guest's own, as long as it sees what there is. */
	intercept_set(vmcb, EXIT_CR0_READ, hides_cache_bits);
	intercept_set(vmcb, EXIT_CR0_WRITE, hides_cache_bits);
}

static void control_unload(struct cpu *cpu, const struct vmcb *vmcb)
{
	cpu->cr0 = (vmcb->cr0 & ~CR0_CACHE) | (cpu->cr0 & CR0_CACHE);
	cpu->cr2 = vmcb->cr2;
	cpu->cr3 = vmcb->cr3;
	cpu->cr4 = vmcb->cr4;
	/* Writes of EFER are emulated: only LMA may have changed. */
	cpu->efer = (cpu->efer & ~EFER_LMA) | (vmcb->efer & EFER_LMA);
	cpu->dr6 = vmcb->dr6;
	cpu->dr7 = vmcb->dr7;
	cpu->cpl = vmcb->cpl;
}

/* ---- all of it ---- */

/*
 * The guest's TSC is the machine's own with an offset, at the frequency that the machine was given: the same sum that clock_tsc makes of the time.
 */
static u64 tsc_offset(const struct vcpu *vcpu)
{
	const struct clock *clock = &vcpu->machine->clock;
	i64 ns = (i64)clock->offset_ns;
	u64 ticks = clock_scale((u64)(ns < 0 ? -ns : ns), clock->tsc_hz, 1000000000);
	return vcpu->tsc_offset - host_tsc_start() + (ns < 0 ? -ticks : ticks);
}

void svm_load(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct cpu *cpu = &vcpu->cpu;
	const struct svm_machine *machine = vcpu->machine->engine_data;
	struct vmcb *vmcb = svm->vmcb;
	if (svm->is_loaded)
		return;
	segments_load(vmcb, cpu);
	system_registers_load(vmcb, &cpu->msrs);
	control_load(vmcb, cpu, machine->efer_allowed);
	vmcb->rflags = flags_get(cpu);
	vmcb->rip = cpu->regs[RIP];
	vmcb->rsp = cpu->regs[RSP];
	vmcb->rax = cpu->regs[RAX];
	vmcb->shadow = cpu->interrupt_shadow != SHADOW_NONE;
	vmcb->tsc_offset = tsc_offset(vcpu);
	intercept_set(vmcb, EXIT_IRET, cpu->nmi_blocked);
	svm->is_loaded = true;
}

/* The software TLB and the pointers of PAE paging are of an earlier time. */
static void caches_renew(struct cpu *cpu)
{
	bool is_pae = (cpu->cr0 & CR0_PG) && (cpu->cr4 & CR4_PAE) && !cpu_is_long_mode(cpu);
	if (is_pae) {
		bool is_valid = page_walk_load_pdptes(cpu, cpu->cr3);
		(void)is_valid; /* the guest has changed its table since: the old ones stay, as on a processor */
	}
	paging_flush(cpu);
	cpu_mode_changed(cpu);
}

void svm_unload(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct cpu *cpu = &vcpu->cpu;
	struct vmcb *vmcb = svm->vmcb;
	if (!svm->is_loaded)
		return;
	segments_unload(cpu, vmcb);
	system_registers_unload(&cpu->msrs, vmcb);
	control_unload(cpu, vmcb);
	flags_set(cpu, vmcb->rflags);
	cpu->regs[RIP] = vmcb->rip;
	cpu->regs[RSP] = vmcb->rsp;
	cpu->regs[RAX] = vmcb->rax;
	cpu->interrupt_shadow = vmcb->shadow & 1 ? SHADOW_STI : SHADOW_NONE;
	caches_renew(cpu);
	svm->is_loaded = false;
}

/* ---- x87, SSE, AVX ---- */

#define XSAVE_HEADER FPU_XSAVE_HEADER
#define XSAVE_YMM FPU_XSAVE_LEGACY_SIZE
#define COMPONENTS (XCR0_X87 | XCR0_SSE | XCR0_AVX)

static bool has_xsave(const struct vcpu *vcpu)
{
	return cpu_model_has(vcpu->cpu.model, FEATURE_XSAVE);
}

/* The machine's XCR0 has all components, so that all are moved whatever the guest's own says. */
void svm_extended_load(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	const struct fpu *fpu = &vcpu->cpu.fpu;
	if (svm->extended_is_loaded)
		return;
	memcpy(svm->extended, fpu->image, sizeof(fpu->image));
	memset(svm->extended + XSAVE_HEADER, 0, XSAVE_YMM - XSAVE_HEADER);
	if (has_xsave(vcpu))
		svm->extended[XSAVE_HEADER] = (u8)(svm_xcr0_get() & COMPONENTS);
	memcpy(svm->extended + XSAVE_YMM, fpu->ymm_high, sizeof(fpu->ymm_high));
	if (has_xsave(vcpu))
		__asm__ volatile("xrstor64 (%0)"
				 :
				 : "r"(svm->extended), "a"((u32)COMPONENTS), "d"(0)
				 : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" : : "r"(svm->extended) : "memory");
	svm->extended_is_loaded = true;
}

void svm_extended_unload(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct fpu *fpu = &vcpu->cpu.fpu;
	if (!svm->extended_is_loaded)
		return;
	/* Components in their first state are not written: they are zeroes, but for MXCSR's and FCW's own. */
	memset(svm->extended, 0, sizeof(svm->extended));
	if (has_xsave(vcpu))
		__asm__ volatile("xsave64 (%0)"
				 :
				 : "r"(svm->extended), "a"((u32)COMPONENTS), "d"(0)
				 : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" : : "r"(svm->extended) : "memory");
	memcpy(fpu->image, svm->extended, sizeof(fpu->image));
	memcpy(fpu->ymm_high, svm->extended + XSAVE_YMM, sizeof(fpu->ymm_high));
	svm->extended_is_loaded = false;
}

/* ---- what never changes ---- */

static const u8 intercepted[] = {
	EXIT_CR4_WRITE,
	EXIT_CR8_READ,
	EXIT_CR8_WRITE,
	EXIT_CR0_SEL_WRITE,
	/* Faults while delivering these two can go on for ever without an exit. */
	EXIT_EXCEPTION_DB,
	EXIT_EXCEPTION_AC,
	EXIT_EXCEPTION_MC,
	EXIT_INTR,
	EXIT_NMI,
	EXIT_SMI,
	EXIT_INIT,
	EXIT_RDPMC,
	EXIT_CPUID,
	EXIT_RSM,
	EXIT_INVD,
	EXIT_HLT,
	EXIT_INVLPGA,
	EXIT_IOIO,
	EXIT_MSR,
	EXIT_FERR_FREEZE,
	EXIT_SHUTDOWN,
	EXIT_VMRUN,
	EXIT_VMMCALL,
	EXIT_VMLOAD,
	EXIT_VMSAVE,
	EXIT_STGI,
	EXIT_CLGI,
	EXIT_SKINIT,
	EXIT_WBINVD,
	EXIT_MONITOR,
	EXIT_MWAIT,
	EXIT_MWAIT_ARMED,
	EXIT_XSETBV,
};

void svm_vmcb_init(struct vcpu *vcpu)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	const struct svm_machine *machine = vcpu->machine->engine_data;

	for (unsigned i = 0; i < ARRAY_SIZE(intercepted); i++)
		intercept_set(vmcb, intercepted[i], true);
	vmcb->intercepts[1] |= 0x00ff00ff; /* debug registers, which the machine has once */
	vmcb->iopm = svm_io_permissions();
	vmcb->msrpm = svm_msr_permissions();
	vmcb->interrupt = INTERRUPT_V_MASKING;
	vmcb->nested = NESTED_ENABLE;
	vmcb->nested_cr3 = machine->nested_root_physical;
}
