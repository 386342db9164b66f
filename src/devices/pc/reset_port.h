/* SPDX-License-Identifier: MIT */
/*
 * The two ports by which a PC resets itself: the reset control register, which lies within the PCI configuration ports, and
 * system control port A. Source: ICH9 data sheet, 13.7.5 (CF9h), 13.7.3 (92h); PCI 3.0, 3.2.2.3.2 (CF8h, CFCh).
 *
 * There is no PCI host bridge: CF8h and CFCh read all ones, and what is written there is gone. They are this device's because
 * a write of the 32-bit address register must not be taken for a byte of the reset register.
 */
#ifndef DEVICES_PC_RESET_PORT_H
#define DEVICES_PC_RESET_PORT_H

#include "core/device.h"

struct reset_port {
	struct device device;
	struct bus_region regions[2];
	u8 reset_control;  /* CF9h */
	u8 system_control; /* 92h */
};

/* Eight ports at pci_config; one at system_control. */
enum status reset_port_init(struct reset_port *port, struct machine *machine, u16 pci_config,
	u16 system_control) must_use;

#endif
