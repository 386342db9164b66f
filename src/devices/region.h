/* SPDX-License-Identifier: MIT */
/* One line a bus region, as chips need it. */
#ifndef DEVICES_REGION_H
#define DEVICES_REGION_H

#include "core/machine.h"

/*
 * Fills region (which lives as long as the machine) and attaches it: `bytes` at `base`, access sizes the sum of
 * 1, 2, 4 and 8, guarded by the machine's lock. STATUS_BUSY where something else is already.
 */
static inline enum status region_attach(struct machine *machine, struct bus_region *region,
	const char *name, enum bus_space space, u64 base, u64 bytes, u8 sizes,
	void (*access)(void *owner, struct bus_access *access), void *owner)
{
	region->name = name;
	region->space = space;
	region->base = base;
	region->bytes = bytes;
	region->sizes = sizes;
	region->access = access;
	region->owner = owner;
	return bus_attach(&machine->buses[space], region);
}

#endif
