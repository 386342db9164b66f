/* SPDX-License-Identifier: MIT */
#include "devices/pc/exit_port.h"
#include "base/memory.h"
#include "devices/region.h"

#define EXIT_VALUES 64

static void exit_port_access(void *owner, struct bus_access *access)
{
	struct exit_port *port = owner;

	if (access->is_write)
		machine_end(port->device.machine, MACHINE_EXIT_PORT, access->value % EXIT_VALUES);
	else
		access->value = 0;
}

static const struct device_ops exit_port_ops = {.kind = "exit-port"};

enum status exit_port_init(struct exit_port *port, struct machine *machine, u16 base)
{
	memset(port, 0, sizeof(*port));
	enum status status = region_attach(machine, &port->region, "exit-port", BUS_PORT, base, 4,
		1 | 2 | 4, exit_port_access, port);
	if (status == STATUS_OK)
		device_attach(machine, &port->device, &exit_port_ops, "exit-port", port);
	return status;
}
