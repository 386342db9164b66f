/* SPDX-License-Identifier: MIT */
/*
 * What a processor asks of its local APIC in passing, and what it is told by it. The APIC itself is a device
 * (devices/irqchip/lapic.c), reached by memory and MSR regions.
 */
#ifndef CORE_APIC_H
#define CORE_APIC_H

#include "base/types.h"

struct vcpu;

struct apic_ops {
	/* The vector to take now (LAPIC's, else the 8259's through ExtINT), moved to in-service; -1: none any more. */
	int (*acknowledge)(void *apic);
	u8 (*task_priority_get)(void *apic); /* CR8: TPR bits 7-4 */
	void (*task_priority_set)(void *apic, u8 priority);
	/* The guest has written its TSC: a deadline may lie elsewhere now. With machine->lock held. */
	void (*tsc_changed)(void *apic);
};

struct apic {
	const struct apic_ops *ops; /* NULL: no APIC, no interrupts */
	void *object;
};

/* From the APIC to its vCPU; from any thread, with the machine's lock held. */
void vcpu_interrupt_line(struct vcpu *vcpu, bool level); /* INTR */
void vcpu_nmi(struct vcpu *vcpu);
void vcpu_init_signal(struct vcpu *vcpu);
void vcpu_start_up(struct vcpu *vcpu, u8 vector);

#endif
