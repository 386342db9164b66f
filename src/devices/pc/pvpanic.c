/* SPDX-License-Identifier: MIT */
#include "devices/pc/pvpanic.h"
#include "base/memory.h"
#include "devices/region.h"

#define PVPANIC_EVENTS (PANIC_STOPPED | PANIC_DUMPING)

static void tell(struct pvpanic *pvpanic, u8 events)
{
	static const enum panic_event each[] = {PANIC_STOPPED, PANIC_DUMPING};
	u8 news = events & PVPANIC_EVENTS & ~pvpanic->events;

	pvpanic->events |= news;
	for (unsigned i = 0; i < ARRAY_SIZE(each) && pvpanic->backend.tell; i++) {
		if (news & each[i])
			pvpanic->backend.tell(pvpanic->backend.context, each[i]);
	}
}

/* A read says which events there are. */
static void pvpanic_access(void *owner, struct bus_access *access)
{
	if (access->is_write)
		tell(owner, (u8)access->value);
	else
		access->value = PVPANIC_EVENTS;
}

static void pvpanic_reset(struct device *device)
{
	container_of(device, struct pvpanic, device)->events = 0;
}

static const struct state_field pvpanic_fields[] = {STATE_UINT(struct pvpanic, events)};
static const struct state_table pvpanic_state = STATE_TABLE("pvpanic", 1, pvpanic_fields, NULL);
static const struct device_ops pvpanic_ops = {"pvpanic", pvpanic_reset, &pvpanic_state};

enum status pvpanic_init(struct pvpanic *pvpanic, struct machine *machine, u16 base,
	const struct panic_backend *backend)
{
	memset(pvpanic, 0, sizeof(*pvpanic));
	pvpanic->backend = *backend;
	enum status status = region_attach(machine, &pvpanic->region, "pvpanic", BUS_PORT, base, 1,
		1, pvpanic_access, pvpanic);
	if (status == STATUS_OK)
		device_attach(machine, &pvpanic->device, &pvpanic_ops, "pvpanic", pvpanic);
	return status;
}
