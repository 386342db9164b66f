/* SPDX-License-Identifier: MIT */
#include "devices/pc/reset_port.h"
#include "base/memory.h"
#include "devices/region.h"

enum system_control { SYSTEM_FAST_RESET = 1 << 0, SYSTEM_A20 = 1 << 1 };

static void access_system_control(void *owner, struct bus_access *access)
{
	struct reset_port *port = owner;

	if (!access->is_write) {
		access->value = port->system_control | SYSTEM_A20; /* A20 is never masked */
		return;
	}
	bool was_set = port->system_control & SYSTEM_FAST_RESET;
	port->system_control = access->value & (SYSTEM_FAST_RESET | SYSTEM_A20);
	if (!was_set && port->system_control & SYSTEM_FAST_RESET)
		machine_request_reset(port->device.machine);
}

static void reset_port_reset(struct device *device)
{
	struct reset_port *port = container_of(device, struct reset_port, device);

	port->system_control = SYSTEM_A20;
}

static const struct state_field reset_port_fields[] = {
	STATE_UINT(struct reset_port, system_control),
};
static const struct state_table reset_port_state =
	STATE_TABLE("reset-port", 1, reset_port_fields, NULL);
static const struct device_ops reset_port_ops = {"reset-port", reset_port_reset, &reset_port_state};

enum status reset_port_init(struct reset_port *port, struct machine *machine, u16 system_control)
{
	memset(port, 0, sizeof(*port));
	enum status status = region_attach(machine, &port->region, "system-control", BUS_PORT,
		system_control, 1, 1, access_system_control, port);
	if (status == STATUS_OK)
		device_attach(machine, &port->device, &reset_port_ops, "reset-port", port);
	return status;
}
