/* SPDX-License-Identifier: MIT */
/* Why guest mode was left, and what is done about it: by a table. */
#include "base/text.h"
#include "engines/svm/vcpu.h"
#include "x86/environment.h"

typedef void exit_fn(struct vcpu *vcpu);

/* The interrupt itself is taken by the host's own handler. */
static void ignore(struct vcpu *vcpu) {}

/* The machine's own error, which the host's handler has not had. */
static void handle_machine_check(struct vcpu *vcpu)
{
	__asm__ volatile("int $18" : : : "memory");
}

static void handle_shutdown(struct vcpu *vcpu)
{
	svm_unload(vcpu);
	vcpu->cpu.activity = CPU_SHUTDOWN;
}

/* The guest's own exception, which only passes by here. */
static void reflect(struct vcpu *vcpu)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	u64 vector = vmcb->exit_code - 0x40;
	vmcb->event_injection = EVENT_VALID | EVENT_TYPE_EXCEPTION << EVENT_TYPE_SHIFT | vector;
	if (vmcb->exit_code == EXIT_EXCEPTION_AC)
		vmcb->event_injection |= EVENT_HAS_ERROR | vmcb->exit_info_1 << 32;
}

/* EXITINFO1 of an I/O intercept. */
#define IO_IS_IN BIT(0)
#define IO_IS_STRING BIT(2)
#define IO_SIZE_SHIFT 4

/* IN and OUT: all that is needed is told. Strings are emulated. */
static void handle_port(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct vmcb *vmcb = svm->vmcb;
	struct cpu *cpu = &vcpu->cpu;
	u64 info = vmcb->exit_info_1;
	unsigned bytes = bits_get(info, IO_SIZE_SHIFT, 3);
	u16 port = (u16)(info >> 16);
	u64 mask = bits_mask(8 * bytes);

	if ((info & IO_IS_STRING) || (vmcb->rflags & RFLAGS_TF) || (vmcb->dr7 & 0xff)) {
		svm_emulate(vcpu);
		return;
	}
	if (info & IO_IS_IN) {
		u64 value = cpu->environment->port_read(cpu, port, bytes);
		vmcb->rax = bytes == 4 ? (u32)value : (vmcb->rax & ~mask) | (value & mask);
	} else {
		cpu->environment->port_write(cpu, port, bytes, (u32)(vmcb->rax & mask));
	}
	vmcb->rip = vmcb->exit_info_2;
	vmcb->shadow = 0;
}

static void handle_unknown(struct vcpu *vcpu)
{
	const struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	char line[200];
	struct text text;
	text_init(&text, line, sizeof(line));
	text_format(&text, "SVM's exit %#lx (%#lx, %#lx) at rip %#lx was not expected",
		vmcb->exit_code, vmcb->exit_info_1, vmcb->exit_info_2, vmcb->rip);
	host_log(LOG_ERROR, line);
	svm_unload(vcpu);
	machine_end(vcpu->machine, MACHINE_FAULT, 0);
}

static exit_fn *const handlers[EXIT_KINDS] = {
	[EXIT_CR0_READ... EXIT_CR0_READ + 15] = svm_emulate,
	[EXIT_CR0_WRITE... EXIT_CR0_WRITE + 15] = svm_emulate,
	[EXIT_DR0_READ... EXIT_DR7_WRITE] = svm_emulate,
	[EXIT_EXCEPTION_DB] = reflect,
	[EXIT_EXCEPTION_AC] = reflect,
	[EXIT_EXCEPTION_MC] = handle_machine_check,
	[EXIT_INTR] = ignore,
	[EXIT_NMI] = ignore,
	[EXIT_SMI] = ignore,
	[EXIT_INIT] = ignore,
	[EXIT_VINTR] = svm_window_opened,
	[EXIT_CR0_SEL_WRITE] = svm_emulate,
	[EXIT_RDPMC] = svm_emulate,
	[EXIT_CPUID] = svm_emulate,
	[EXIT_RSM] = svm_emulate,
	[EXIT_IRET] = svm_emulate,
	[EXIT_INVD] = svm_emulate,
	[EXIT_HLT] = svm_emulate,
	[EXIT_INVLPGA] = svm_emulate,
	[EXIT_IOIO] = handle_port,
	[EXIT_MSR] = svm_emulate,
	[EXIT_FERR_FREEZE] = svm_emulate,
	[EXIT_SHUTDOWN] = handle_shutdown,
	[EXIT_VMRUN... EXIT_SKINIT] = svm_emulate,
	[EXIT_WBINVD] = svm_emulate,
	[EXIT_MONITOR... EXIT_XSETBV] = svm_emulate,
	[EXIT_NPF] = svm_emulate,
};

/*
 * An event was on its way when guest mode was left. Of a software interrupt the instruction comes again by itself.
 */
static bool resume_event(struct vcpu *vcpu)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	u64 info = vmcb->exit_interrupt_info;
	unsigned type = bits_get(info, EVENT_TYPE_SHIFT, 3);
	if (!(info & EVENT_VALID) || type == EVENT_TYPE_SOFTWARE)
		return false;
	if (vmcb->exit_code == EXIT_NPF) {
		svm_deliver(vcpu, info);
		return true;
	}
	vmcb->event_injection = info;
	return false;
}

void svm_handle_exit(struct vcpu *vcpu)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	exit_fn *handler = vmcb->exit_code < EXIT_KINDS ? handlers[vmcb->exit_code] : NULL;
	vmcb->event_injection = 0;
	if (resume_event(vcpu))
		return;
	(handler ? handler : handle_unknown)(vcpu);
}
