/* SPDX-License-Identifier: MIT */
/*
 * The local APICs of all processors of a machine, xAPIC and x2APIC, and what connects them.
 * Source: APM volume 2, chapter 16; SDM volume 3, chapter 11 (x2APIC, TSC deadline).
 *
 * The timer counts a bus clock of 1 GHz. The register page lies at LAPIC_BASE only: an APIC that its guest moves away
 * answers to MSRs and interrupts, but to no address.
 */
#ifndef DEVICES_IRQCHIP_LAPIC_H
#define DEVICES_IRQCHIP_LAPIC_H

#include "core/machine.h"
#include "devices/irqchip/apic_message.h"

#define LAPIC_BASE ((u64)0xfee00000)
#define LAPIC_TIMER_HZ 1000000000
#define LAPIC_REGISTERS 64

/* A register's number: its offset in the page / 16, and its x2APIC MSR - 0x800. */
enum lapic_register {
	LAPIC_ID = 0x02,
	LAPIC_VERSION = 0x03,
	LAPIC_TPR = 0x08,
	LAPIC_APR = 0x09,
	LAPIC_PPR = 0x0a,
	LAPIC_EOI = 0x0b,
	LAPIC_LDR = 0x0d,
	LAPIC_DFR = 0x0e,
	LAPIC_SVR = 0x0f,
	LAPIC_ISR = 0x10,
	LAPIC_TMR = 0x18,
	LAPIC_IRR = 0x20,
	LAPIC_ESR = 0x28,
	LAPIC_ICR_LOW = 0x30,
	LAPIC_ICR_HIGH = 0x31,
	LAPIC_LVT_TIMER = 0x32,
	LAPIC_LVT_THERMAL = 0x33,
	LAPIC_LVT_PERFORMANCE = 0x34,
	LAPIC_LVT_LINT0 = 0x35,
	LAPIC_LVT_LINT1 = 0x36,
	LAPIC_LVT_ERROR = 0x37,
	LAPIC_TIMER_INITIAL = 0x38,
	LAPIC_TIMER_CURRENT = 0x39,
	LAPIC_TIMER_DIVIDE = 0x3e,
	LAPIC_SELF_IPI = 0x3f,
};

struct lapics;

struct lapic {
	struct device device;
	struct lapics *all;
	struct vcpu *vcpu;
	char name[16];
	u64 base; /* MSR 0x1b */
	u32 registers[LAPIC_REGISTERS];
	u32 errors;	     /* gathered since ESR was last written */
	bool lint[2];	     /* levels of the two pins */
	bool extint_latched; /* an ExtINT message has come and is not yet acknowledged */
	struct event timer;
	u64 timer_expiry_ns; /* count-down modes: when the count is 0; 0: stopped */
	u64 tsc_deadline;    /* MSR 0x6e0 */
};

struct lapics {
	struct machine *machine;
	unsigned count;
	struct bus_region memory_region, base_region, deadline_region, x2apic_region;
	/* The 8259's INTA, and where EOIs of level-triggered interrupts go. Plugged in by the board; may be NULL. */
	int (*extint_acknowledge)(void *owner);
	void *extint_owner;
	void (*end_of_interrupt)(void *owner, u8 vector);
	void *end_of_interrupt_owner;
	struct lapic lapic[MACHINE_VCPUS_MAX];
};

/* One APIC for each vCPU that the machine has; sets vcpu->apic. */
enum status lapics_init(struct lapics *lapics, struct machine *machine) must_use;
/* A struct apic_port's function; owner is the struct lapics. */
void lapics_send(void *owner, const struct apic_message *message);
/* A struct irq's function: pin LINT0 or LINT1 (line 0, 1) of all APICs. */
void lapics_set_lint(void *owner, unsigned line, bool level);
/* What firmware leaves on the first processor (MP specification, 3.6.2.2): enabled, ExtINT on LINT0, NMI on LINT1. */
void lapics_set_virtual_wire(struct lapics *lapics);

#endif
