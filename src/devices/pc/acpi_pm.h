/* SPDX-License-Identifier: MIT */
/*
 * ACPI fixed hardware: PM1a event and control blocks, PM timer of 32 bits, GPE0 block, SCI.
 * Source: ACPI specification 6.4, 4.8. ACPI mode is always on: there is no SMI command port, SCI_EN reads 1.
 */
#ifndef DEVICES_PC_ACPI_PM_H
#define DEVICES_PC_ACPI_PM_H

#include "core/device.h"
#include "core/event.h"
#include "core/irq.h"

#define ACPI_PM_TIMER_HZ 3579545
#define ACPI_PM_PORTS \
	0x30 /* from the base on: PM1 event 0, PM1 control 4, timer 8, GPE0 0x20 (16 bytes) */
#define ACPI_PM_GPE_BYTES 8 /* of status, and of enables */

struct acpi_pm {
	struct device device;
	struct bus_region region;
	struct irq sci; /* a level */
	u8 s5_type;
	u16 status, enable, control;
	u8 gpe_status[ACPI_PM_GPE_BYTES], gpe_enable[ACPI_PM_GPE_BYTES];
	u64 checked_tick;   /* the timer's ticks up to which TMR_STS tells of carries */
	struct event carry; /* while TMR_EN is set */
};

/* s5_type: the SLP_TYP that powers off. */
enum status acpi_pm_init(
	struct acpi_pm *pm, struct machine *machine, u16 base, u8 s5_type, struct irq sci) must_use;
/* The button is pressed. With machine->lock held. */
void acpi_pm_power_button(struct acpi_pm *pm);

#endif
