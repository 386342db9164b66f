/* SPDX-License-Identifier: MIT */
/*
 * System control port A, by which a PC resets itself and masks A20. Source: ICH9 data sheet, 13.7.3 (92h). The other reset
 * port, CF9h, lies among the PCI configuration ports: devices/pci/host_bridge.h.
 */
#ifndef DEVICES_PC_RESET_PORT_H
#define DEVICES_PC_RESET_PORT_H

#include "core/device.h"

struct reset_port {
	struct device device;
	struct bus_region region;
	u8 system_control; /* 92h */
};

enum status reset_port_init(
	struct reset_port *port, struct machine *machine, u16 system_control) must_use;

#endif
