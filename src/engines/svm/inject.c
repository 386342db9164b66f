/* SPDX-License-Identifier: MIT */
/* Interrupts and the rarer signals: what is pending before guest mode is entered. */
#include "base/atomic.h"
#include "engines/svm/vcpu.h"
#include "x86/environment.h"
#include "x86/exceptions.h"

static bool can_take_interrupt(const struct vmcb *vmcb)
{
	return (vmcb->rflags & RFLAGS_IF) && !(vmcb->shadow & 1) &&
		!(vmcb->event_injection & EVENT_VALID);
}

/* An exit as soon as the guest can take one: a virtual interrupt that is intercepted. APM volume 2, 15.21.4. */
static void window_request(struct vmcb *vmcb)
{
	vmcb->interrupt |= INTERRUPT_V_IRQ | INTERRUPT_V_PRIORITY | INTERRUPT_V_IGNORE_TPR;
	vmcb->intercepts[EXIT_VINTR / 32] |= 1u << (EXIT_VINTR % 32);
}

void svm_window_opened(struct vcpu *vcpu)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	vmcb->interrupt &= ~(INTERRUPT_V_IRQ | INTERRUPT_V_PRIORITY | INTERRUPT_V_IGNORE_TPR);
	vmcb->intercepts[EXIT_VINTR / 32] &= ~(1u << (EXIT_VINTR % 32));
}

static void take_interrupt(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct cpu *cpu = &vcpu->cpu;
	svm_load(vcpu);
	if (can_take_interrupt(svm->vmcb)) {
		int vector = cpu->environment->interrupt_acknowledge(cpu);
		if (vector >= 0) {
			svm->vmcb->event_injection =
				EVENT_VALID | EVENT_TYPE_INTERRUPT << EVENT_TYPE_SHIFT | (u8)vector;
			cpu->activity = CPU_RUNNING;
		}
		svm_window_opened(vcpu);
	}
	if (atomic_load_32(&cpu->pending) & PENDING_INTERRUPT) {
		window_request(svm->vmcb);
		svm->waiting |= PENDING_INTERRUPT;
	}
}

/* All but interrupts, which come every time: as the software engines take it. */
static void take_rare(struct vcpu *vcpu, u32 pending)
{
	struct cpu *cpu = &vcpu->cpu;
	svm_unload(vcpu);
	/* What was to be injected comes first. */
	atomic_and_32(&cpu->pending, ~(u32)(PENDING_SMI | PENDING_ENGINE));
	interrupts_take(cpu);
	/* An NMI may wait for the end of another one, and a start-up message find a processor that runs: they stay. */
	svm_of(vcpu)->waiting |= atomic_load_32(&cpu->pending) & pending &
		(PENDING_NMI | PENDING_TRAP | PENDING_SIPI);
}

#define RARE \
	(PENDING_NMI | PENDING_INIT | PENDING_SIPI | PENDING_SMI | PENDING_ENGINE | PENDING_TRAP)

bool svm_see_to_pending(struct vcpu *vcpu, enum run_exit *exit)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct cpu *cpu = &vcpu->cpu;
	u32 pending = atomic_load_32(&cpu->pending);
	bool injects = svm->vmcb->event_injection & EVENT_VALID;

	*exit = RUN_STOPPED;
	if (pending & PENDING_STOP)
		return true;
	svm->waiting = 0;
	if (pending & RARE) {
		if (injects) /* after it: its handler's first instruction is a good place */
			svm->waiting |= pending & RARE;
		else
			take_rare(vcpu, pending);
	}
	if ((pending & PENDING_INTERRUPT) && cpu->activity <= CPU_HALTED)
		take_interrupt(vcpu);
	if (cpu->activity == CPU_RUNNING)
		return false;
	*exit = cpu->activity == CPU_SHUTDOWN ? RUN_SHUTDOWN : RUN_IDLE;
	return true;
}
