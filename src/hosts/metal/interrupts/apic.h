/* SPDX-License-Identifier: MIT */
/*
 * This processor's local APIC, in x2APIC mode where there is one; its timer; messages to other processors; and the first I/O APIC. APM volume 2,
 * chapter 16.
 */
#ifndef HOSTS_METAL_INTERRUPTS_APIC_H
#define HOSTS_METAL_INTERRUPTS_APIC_H

#include "base/types.h"
#include "hosts/metal/interrupts/interrupts.h"

/* Once, before the first apic_enable. */
void apic_init(void);
/* On each processor. */
void apic_enable(void);
u32 apic_id(void);
void apic_end_of_interrupt(void);

/* One VECTOR_TIMER at host_time_ns() >= deadline_ns; replaces an earlier setting; TIME_NEVER: none. On the processor itself. */
void apic_timer_set(u64 deadline_ns);
/* Counts the timer's ticks against the TSC. Once. */
void apic_timer_calibrate(void);

void apic_send(u32 apic_id, enum interrupt_vector vector);
void apic_send_to_others(enum interrupt_vector vector);
void apic_send_init(u32 apic_id);
void apic_send_start_up(u32 apic_id, u8 page);

/* An ISA interrupt comes to this processor from now on; false: there is no I/O APIC with it. */
bool apic_route_isa(unsigned irq, enum interrupt_vector vector);

#endif
