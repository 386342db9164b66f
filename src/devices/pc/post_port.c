/* SPDX-License-Identifier: MIT */
#include "devices/pc/post_port.h"
#include "base/memory.h"
#include "devices/region.h"

static void post_port_access(void *owner, struct bus_access *access)
{
	struct post_port *port = owner;

	if (access->is_write)
		port->value = (u8)access->value;
	else
		access->value = port->value;
}

static void post_port_reset(struct device *device)
{
	container_of(device, struct post_port, device)->value = 0;
}

static const struct state_field post_port_fields[] = {STATE_UINT(struct post_port, value)};
static const struct state_table post_port_state =
	STATE_TABLE("post-port", 1, post_port_fields, NULL);
static const struct device_ops post_port_ops = {"post-port", post_port_reset, &post_port_state};

enum status post_port_init(struct post_port *port, struct machine *machine, u16 base)
{
	memset(port, 0, sizeof(*port));
	enum status status = region_attach(
		machine, &port->region, "post", BUS_PORT, base, 1, 1, post_port_access, port);
	if (status == STATUS_OK)
		device_attach(machine, &port->device, &post_port_ops, "post", port);
	return status;
}
