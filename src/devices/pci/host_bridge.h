/* SPDX-License-Identifier: MIT */
/*
 * The way to PCI configuration space by two ports (mechanism 1), with nothing on the bus yet but the host bridge itself,
 * which is what kernels look for to believe the ports; and the reset control register, which lies among them.
 * Source: PCI 3.0, 3.2.2.3.2 (CF8h, CFCh) and 6.1 (the header); ICH9 data sheet, 13.7.5 (CF9h).
 */
#ifndef DEVICES_PCI_HOST_BRIDGE_H
#define DEVICES_PCI_HOST_BRIDGE_H

#include "core/device.h"

struct pci_host_bridge {
	struct device device;
	struct bus_region region;
	u32 address;	  /* CF8h */
	u8 reset_control; /* CF9h */
};

/* Eight ports at base. */
enum status pci_host_bridge_init(
	struct pci_host_bridge *bridge, struct machine *machine, u16 base) must_use;

#endif
