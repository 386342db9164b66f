/* SPDX-License-Identifier: MIT */
/*
 * I/O APIC of 24 pins, version 0x20 (with EOI register). Source: Intel 82093AA data sheet, 3.2; ICH9 data sheet, 13.5
 * (EOI register). Wires carry logical levels, so the polarity bit is kept and ignored.
 */
#ifndef DEVICES_IRQCHIP_IOAPIC_H
#define DEVICES_IRQCHIP_IOAPIC_H

#include "core/device.h"
#include "devices/irqchip/apic_message.h"

#define IOAPIC_PINS 24
#define IOAPIC_VERSION 0x20

struct ioapic {
	struct device device;
	struct bus_region region;
	struct apic_port port;
	u64 redirection[IOAPIC_PINS];
	u32 levels; /* pins as last set */
	u8 index;   /* IOREGSEL */
	u8 id, initial_id;
};

/* 4 KiB of registers at base. */
enum status ioapic_init(struct ioapic *ioapic, struct machine *machine, u64 base, u8 id,
	struct apic_port port) must_use;
/* A struct irq's function: owner is the struct ioapic, line the pin. */
void ioapic_set_line(void *owner, unsigned line, bool level);
/* A local APIC has ended a level-triggered interrupt. With machine->lock held. */
void ioapic_end_of_interrupt(void *owner, u8 vector);

#endif
