/* SPDX-License-Identifier: MIT */
/* Between lapic.c (interrupts), lapic_timer.c and lapic_registers.c (accesses). All with machine->lock held. */
#ifndef DEVICES_IRQCHIP_LAPIC_INTERNAL_H
#define DEVICES_IRQCHIP_LAPIC_INTERNAL_H

#include "base/bits.h"
#include "devices/irqchip/lapic.h"

#define APIC_BASE_BSP BIT(8)
#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ENABLE BIT(11)

#define SVR_ENABLE BIT(8)
#define LVT_LEVEL BIT(15)
#define LVT_REMOTE_IRR BIT(14)
#define LVT_MASKED BIT(16)

enum timer_mode { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_TSC_DEADLINE, TIMER_RESERVED };

enum lapic_error {
	ERROR_SEND_VECTOR = 1 << 5,
	ERROR_RECEIVE_VECTOR = 1 << 6,
	ERROR_REGISTER = 1 << 7,
};

static inline bool lapic_is_on(const struct lapic *lapic)
{
	return lapic->base & APIC_BASE_ENABLE;
}

static inline bool lapic_is_x2apic(const struct lapic *lapic)
{
	return lapic->base & APIC_BASE_X2APIC;
}

static inline enum timer_mode lapic_timer_mode(const struct lapic *lapic)
{
	return (enum timer_mode)bits_get(lapic->registers[LAPIC_LVT_TIMER], 17, 2);
}

/* lapic.c */
void lapic_update(struct lapic *lapic); /* tells the vCPU whether there is something to take */
u8 lapic_processor_priority(const struct lapic *lapic); /* PPR */
void lapic_end_of_interrupt(struct lapic *lapic);
void lapic_error(struct lapic *lapic, u32 error);
void lapic_lvt_fire(struct lapic *lapic, enum lapic_register lvt);
void lapic_lint_changed(struct lapic *lapic, unsigned pin);
void lapic_reset_registers(struct lapic *lapic); /* as by INIT: not the base register */
void lapic_send_ipi(struct lapic *lapic, u32 command, u32 destination);
void lapic_accept(struct lapic *lapic, const struct apic_message *message);

/* lapic_timer.c */
void lapic_timer_fire(void *owner);
/* An expiry that is due comes before what the guest does now, though its event has not been run yet. */
void lapic_timer_catch_up(struct lapic *lapic);
void lapic_timer_stop(struct lapic *lapic);
void lapic_timer_start(struct lapic *lapic);	  /* TIMER_INITIAL has been written */
u32 lapic_timer_count(const struct lapic *lapic); /* TIMER_CURRENT */
void lapic_timer_set_divide(struct lapic *lapic, u32 value);
void lapic_timer_set_mode(struct lapic *lapic, u32 lvt); /* LVT_TIMER is about to become lvt */
void lapic_timer_set_deadline(struct lapic *lapic, u64 tsc);

/* lapic_registers.c */
void lapic_access_memory(void *owner, struct bus_access *access);
void lapic_access_x2apic(void *owner, struct bus_access *access);
void lapic_access_base(void *owner, struct bus_access *access);
void lapic_access_deadline(void *owner, struct bus_access *access);

#endif
