/* SPDX-License-Identifier: MIT */
/* What the firmware's ACPI tables say that a hypervisor needs: processors, interrupts, how to power off. ACPI 6.4, chapter 5. */
#ifndef HOSTS_METAL_ACPI_ACPI_H
#define HOSTS_METAL_ACPI_ACPI_H

#include "base/types.h"

#define ACPI_PROCESSORS_MAX 256

struct acpi_processors {
	u32 apic_ids[ACPI_PROCESSORS_MAX]; /* those that may be started */
	unsigned count;
};

struct acpi_interrupts {
	u64 ioapic_address; /* 0: there is none */
	u32 ioapic_first_pin;
	u32 isa_pin[16];   /* global number */
	u32 isa_flags[16]; /* polarity and trigger, as the I/O APIC has them */
};

struct acpi_power {
	bool has_sleep; /* S5 by the fixed registers */
	u16 pm1a_control, pm1b_control;
	u16 pm_timer; /* port; 0: none */
	u8 sleep_type_a, sleep_type_b;
};

/* rsdp 0: it is looked for where a BIOS leaves it. False: there are no tables. */
bool acpi_init(u64 rsdp);
const struct acpi_processors *acpi_processors(void);
const struct acpi_interrupts *acpi_interrupts(void);
const struct acpi_power *acpi_power(void);

#endif
