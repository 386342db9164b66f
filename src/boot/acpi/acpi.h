/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables: ACPI specification 6.4, chapter 5; AML: chapter 20. They tell the guest of the board's fixed devices.
 */
#ifndef BOOT_ACPI_ACPI_H
#define BOOT_ACPI_ACPI_H

#include "base/status.h"
#include "base/types.h"

struct machine;

#define ACPI_PCI_SLOTS 32

/* One PCI bus, number 0. */
struct acpi_pci {
	u32 ecam_address, ecam_bytes;
	u16 config_port;		  /* 8 ports */
	u32 window_address, window_bytes; /* where BARs may lie */
	u8 slot_irqs[ACPI_PCI_SLOTS];	  /* what INTA of each slot is on; level */
};

/* What the board has. Ports and interrupts are 0 where a thing is absent, unless said. */
struct acpi_platform {
	u32 cpu_count; /* APIC ids 0 to cpu_count - 1, at most 32 */
	u32 lapic_address, ioapic_address;
	u8 ioapic_id;
	u8 sci_irq;	      /* ISA number = GSI; level, active high. IRQ 0 is GSI 2 always */
	u16 pm1_event_port;   /* 4 bytes: PM1 status, enable */
	u16 pm1_control_port; /* 2 bytes; SCI_EN always reads 1: there is no SMI command port */
	u16 pm_timer_port;    /* 4 bytes */
	bool pm_timer_32_bit;
	u16 gpe0_port; /* gpe0_bytes bytes: status, enable */
	u8 gpe0_bytes;
	u8 s5_sleep_type; /* SLP_TYP that powers off */
	u16 reset_port;	  /* a write of reset_value resets */
	u8 reset_value;
	u16 serial_port; /* 16550 of 8 ports */
	u8 serial_irq;
	u16 pvpanic_port;
	bool has_rtc;	/* ports 0x70, 0x71; IRQ 8 */
	bool has_pit;	/* ports 0x40 to 0x43; IRQ 0 */
	bool has_i8042; /* ports 0x60, 0x64; IRQ 1 */
	struct acpi_pci pci;
};

/* The tables lie here, the RSDP first, so that a scan for it finds it. The board's memory map reserves it. */
#define ACPI_TABLES_BASE 0xe0000
#define ACPI_TABLES_BYTES 0x10000

/* Writes all tables to guest RAM; *rsdp is where the RSDP lies. */
enum status acpi_write_tables(
	struct machine *machine, const struct acpi_platform *platform, u64 *rsdp) must_use;

#endif
