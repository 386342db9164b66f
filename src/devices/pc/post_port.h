/* SPDX-License-Identifier: MIT */
/* Port 0x80: firmware's progress codes, and what kernels write to for a short delay. It keeps the last value. */
#ifndef DEVICES_PC_POST_PORT_H
#define DEVICES_PC_POST_PORT_H

#include "core/device.h"

struct post_port {
	struct device device;
	struct bus_region region;
	u8 value;
};

enum status post_port_init(struct post_port *port, struct machine *machine, u16 base) must_use;

#endif
