/* SPDX-License-Identifier: MIT */
/* The port by which a guest's kernel says that it panicked: QEMU's docs/specs/pvpanic, the ISA form, ACPI's QEMU0001. */
#ifndef DEVICES_PC_PVPANIC_H
#define DEVICES_PC_PVPANIC_H

#include "core/device.h"
#include "devices/backend/panic.h"

struct pvpanic {
	struct device device;
	struct bus_region region;
	struct panic_backend backend;
	u8 events; /* enum panic_event: all that the guest has told since its reset */
};

/* One port at base. */
enum status pvpanic_init(struct pvpanic *pvpanic, struct machine *machine, u16 base,
	const struct panic_backend *backend) must_use;

#endif
