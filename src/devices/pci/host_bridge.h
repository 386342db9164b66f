/* SPDX-License-Identifier: MIT */
/*
 * The host bridge, in slot 0, and the two ways to configuration space: two ports (mechanism 1) and memory (ECAM). And the reset control
 * register, which lies among the ports.
 * Source: PCI 3.0, 3.2.2.3.2 (CF8h, CFCh); PCI Express 3.0, 7.2.2 (ECAM); ICH9 data sheet, 13.7.5 (CF9h).
 */
#ifndef DEVICES_PCI_HOST_BRIDGE_H
#define DEVICES_PCI_HOST_BRIDGE_H

#include "core/device.h"
#include "devices/pci/function.h"

/* Of one bus. */
#define PCI_ECAM_BYTES ((u32)1 << 20)

struct pci_host_bridge {
	struct device device;
	struct pci_bus *bus;
	struct pci_function function;
	struct bus_region ports, ecam;
	u32 address;	  /* CF8h */
	u8 reset_control; /* CF9h */
};

/* Eight ports at base, PCI_ECAM_BYTES at ecam_base. */
enum status pci_host_bridge_init(struct pci_host_bridge *bridge, struct machine *machine,
	struct pci_bus *bus, u16 base, u32 ecam_base) must_use;

#endif
