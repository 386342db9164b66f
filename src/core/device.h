/* SPDX-License-Identifier: MIT */
/*
 * What every device has in common. A device is a struct that holds a struct device, is created by NAME_create or _init of its
 * own header with wires and backends plugged in by the board, and is reached through its bus regions, its input wires, and its events.
 *
 * Lock: everything of a device is guarded by machine->lock, held by the bus, by events and by whoever calls its input functions.
 */
#ifndef CORE_DEVICE_H
#define CORE_DEVICE_H

#include "base/list.h"
#include "core/bus.h"
#include "core/state.h"

struct machine;
struct device;

struct device_ops {
	const char *kind;		      /* "serial" */
	void (*reset)(struct device *device); /* as at power-on; wires low, events cancelled */
	const struct state_table
		*state; /* describes the struct that `object` points to; NULL: stateless */
};

struct device {
	struct list link;
	const struct device_ops *ops;
	const char *name; /* "serial0" */
	struct machine *machine;
	struct state_object state;
};

/* Adds it to the machine; object is what ops->state describes. Does not reset it: machine_reset will. */
void device_attach(struct machine *machine, struct device *device, const struct device_ops *ops,
	const char *name, void *object);

#endif
