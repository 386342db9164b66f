/* SPDX-License-Identifier: MIT */
/* The tests' port (QEMU calls it isa-debug-exit): a write of v ends the machine with v & 63. */
#ifndef DEVICES_PC_EXIT_PORT_H
#define DEVICES_PC_EXIT_PORT_H

#include "core/device.h"

struct exit_port {
	struct device device;
	struct bus_region region;
};

/* Four ports at base. */
enum status exit_port_init(struct exit_port *port, struct machine *machine, u16 base) must_use;

#endif
