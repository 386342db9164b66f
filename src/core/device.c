/* SPDX-License-Identifier: MIT */
#include "core/device.h"
#include "core/machine.h"

void device_attach(struct machine *machine, struct device *device, const struct device_ops *ops,
	const char *name, void *object)
{
	device->ops = ops;
	device->name = name;
	device->machine = machine;
	list_append(&machine->devices, &device->link);
	if (ops->state)
		state_register(machine, &device->state, name, ops->state, object);
}
