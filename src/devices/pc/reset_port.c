/* SPDX-License-Identifier: MIT */
#include "devices/pc/reset_port.h"
#include "base/memory.h"
#include "devices/region.h"

#define RESET_OFFSET 1
enum reset_control { RESET_HARD = 1 << 1, RESET_CPU = 1 << 2, RESET_FULL = 1 << 3 };
enum system_control { SYSTEM_FAST_RESET = 1 << 0, SYSTEM_A20 = 1 << 1 };

static void access_pci_config(void *owner, struct bus_access *access)
{
	struct reset_port *port = owner;
	bool is_reset = access->address == RESET_OFFSET && access->size == 1;

	if (!access->is_write) {
		access->value = is_reset ? port->reset_control : ~(u64)0;
		return;
	}
	if (!is_reset)
		return;
	bool was_set = port->reset_control & RESET_CPU;
	port->reset_control = access->value & (RESET_HARD | RESET_CPU | RESET_FULL);
	if (!was_set && port->reset_control & RESET_CPU)
		machine_request_reset(port->device.machine);
}

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

	port->reset_control = 0;
	port->system_control = SYSTEM_A20;
}

static const struct state_field reset_port_fields[] = {
	STATE_UINT(struct reset_port, reset_control),
	STATE_UINT(struct reset_port, system_control),
};
static const struct state_table reset_port_state =
	STATE_TABLE("reset-port", 1, reset_port_fields, NULL);
static const struct device_ops reset_port_ops = {"reset-port", reset_port_reset, &reset_port_state};

enum status reset_port_init(
	struct reset_port *port, struct machine *machine, u16 pci_config, u16 system_control)
{
	memset(port, 0, sizeof(*port));
	enum status status = region_attach(machine, &port->regions[0], "pci-config", BUS_PORT,
		pci_config, 8, 1 | 2 | 4, access_pci_config, port);
	if (status == STATUS_OK)
		status = region_attach(machine, &port->regions[1], "system-control", BUS_PORT,
			system_control, 1, 1, access_system_control, port);
	if (status == STATUS_OK)
		device_attach(machine, &port->device, &reset_port_ops, "reset-port", port);
	return status;
}
