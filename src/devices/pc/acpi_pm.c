/* SPDX-License-Identifier: MIT */
#include "devices/pc/acpi_pm.h"
#include "base/bits.h"
#include "base/memory.h"
#include "devices/region.h"

#define NS_PER_SECOND 1000000000

enum pm_offset {
	PM_STATUS = 0x0,
	PM_ENABLE = 0x2,
	PM_CONTROL = 0x4,
	PM_TIMER = 0x8,
	PM_GPE = 0x20
};
/* In status and enable alike: tables 4.13, 4.14. */
enum pm1_event {
	PM1_TIMER = 1 << 0,
	PM1_BUS_MASTER = 1 << 4,
	PM1_GLOBAL = 1 << 5,
	PM1_POWER_BUTTON = 1 << 8,
	PM1_SLEEP_BUTTON = 1 << 9,
	PM1_RTC = 1 << 10,
	PM1_WAKE = 1 << 15,
	PM1_STATUS_EXISTS = PM1_TIMER | PM1_BUS_MASTER | PM1_GLOBAL | PM1_POWER_BUTTON |
		PM1_SLEEP_BUTTON | PM1_RTC | PM1_WAKE,
	PM1_ENABLE_EXISTS = PM1_TIMER | PM1_GLOBAL | PM1_POWER_BUTTON | PM1_SLEEP_BUTTON | PM1_RTC,
};
/* Table 4.15. */
enum pm1_control {
	CONTROL_SCI_ENABLE = 1 << 0,
	CONTROL_KEPT = 1 << 0 | 1 << 1 | 7 << 10, /* GBL_RLS and SLP_EN are write-only */
	CONTROL_SLEEP_ENABLE = 1 << 13,
};

static u64 timer_ticks(const struct acpi_pm *pm)
{
	return clock_scale(
		clock_now_ns(&pm->device.machine->clock), ACPI_PM_TIMER_HZ, NS_PER_SECOND);
}

/* TMR_STS is set whenever bit 31 changes: ACPI 4.8.2.1. */
static void carry_update(struct acpi_pm *pm)
{
	u64 ticks = timer_ticks(pm);

	if (ticks >> 31 != pm->checked_tick >> 31)
		pm->status |= PM1_TIMER;
	pm->checked_tick = ticks;
	if (!(pm->enable & PM1_TIMER) || pm->status & PM1_TIMER) {
		event_cancel(&pm->carry);
		return;
	}
	u64 next = ((ticks >> 31) + 1) << 31;
	event_set(&pm->carry, clock_scale(next, NS_PER_SECOND, ACPI_PM_TIMER_HZ) + 1);
}

static void pm_update(struct acpi_pm *pm)
{
	carry_update(pm);
	bool level = pm->status & pm->enable;
	for (unsigned i = 0; i < ACPI_PM_GPE_BYTES; i++)
		level |= (pm->gpe_status[i] & pm->gpe_enable[i]) != 0;
	irq_set(&pm->sci, level);
}

static void pm_carry(void *owner)
{
	pm_update(owner);
}

void acpi_pm_power_button(struct acpi_pm *pm)
{
	pm->status |= PM1_POWER_BUTTON;
	pm_update(pm);
}

/* ---- one byte of the block; all registers but the timer are made of them ---- */

static u8 byte_read(const struct acpi_pm *pm, unsigned offset)
{
	unsigned shift = offset & 1 ? 8 : 0;

	switch (offset & ~1u) {
	case PM_STATUS:
		return (u8)(pm->status >> shift);
	case PM_ENABLE:
		return (u8)(pm->enable >> shift);
	case PM_CONTROL:
		return (u8)((pm->control | CONTROL_SCI_ENABLE) >> shift);
	}
	if (offset < PM_GPE)
		return 0;
	offset -= PM_GPE;
	if (offset < ACPI_PM_GPE_BYTES)
		return pm->gpe_status[offset];
	return pm->gpe_enable[offset - ACPI_PM_GPE_BYTES];
}

static void control_write(struct acpi_pm *pm, u16 mask, u16 value)
{
	pm->control = (u16)((pm->control & ~mask) | (value & mask & CONTROL_KEPT));
	if (!(value & mask & CONTROL_SLEEP_ENABLE))
		return;
	if (bits_get(pm->control, 10, 3) == pm->s5_type)
		machine_end(pm->device.machine, MACHINE_POWER_OFF, 0);
}

static void byte_write(struct acpi_pm *pm, unsigned offset, u8 value)
{
	unsigned shift = offset & 1 ? 8 : 0;
	u16 mask = (u16)(0xff << shift), wide = (u16)(value << shift);

	switch (offset & ~1u) {
	case PM_STATUS: /* ones clear */
		pm->status &= (u16)~wide;
		return;
	case PM_ENABLE:
		pm->enable = (u16)((pm->enable & ~mask) | (wide & PM1_ENABLE_EXISTS));
		return;
	case PM_CONTROL:
		control_write(pm, mask, wide);
		return;
	}
	if (offset < PM_GPE)
		return;
	offset -= PM_GPE;
	if (offset < ACPI_PM_GPE_BYTES)
		pm->gpe_status[offset] &= (u8)~value;
	else
		pm->gpe_enable[offset - ACPI_PM_GPE_BYTES] = value;
}

static void pm_access(void *owner, struct bus_access *access)
{
	struct acpi_pm *pm = owner;
	unsigned offset = (unsigned)access->address;

	carry_update(pm);
	if (offset >= PM_TIMER && offset < PM_TIMER + 4) {
		if (!access->is_write)
			access->value = (u32)timer_ticks(pm) >> 8 * (offset & 3);
		return;
	}
	if (!access->is_write)
		access->value = 0;
	for (unsigned i = 0; i < access->size; i++) {
		if (access->is_write)
			byte_write(pm, offset + i, (u8)(access->value >> 8 * i));
		else
			access->value |= (u64)byte_read(pm, offset + i) << 8 * i;
	}
	pm_update(pm);
}

static void pm_reset(struct device *device)
{
	struct acpi_pm *pm = container_of(device, struct acpi_pm, device);

	pm->status = pm->enable = pm->control = 0;
	memset(pm->gpe_status, 0, sizeof(pm->gpe_status));
	memset(pm->gpe_enable, 0, sizeof(pm->gpe_enable));
	pm->checked_tick = timer_ticks(pm);
	pm_update(pm);
}

static bool pm_loaded(void *object)
{
	struct acpi_pm *pm = object;

	return !(pm->status & ~PM1_STATUS_EXISTS) && !(pm->enable & ~PM1_ENABLE_EXISTS) &&
		!(pm->control & ~CONTROL_KEPT);
}

static const struct state_field pm_fields[] = {
	STATE_UINT(struct acpi_pm, status),
	STATE_UINT(struct acpi_pm, enable),
	STATE_UINT(struct acpi_pm, control),
	STATE_BLOB(struct acpi_pm, gpe_status),
	STATE_BLOB(struct acpi_pm, gpe_enable),
	STATE_UINT(struct acpi_pm, checked_tick),
	STATE_TIMER(struct acpi_pm, carry),
};
static const struct state_table pm_state = STATE_TABLE("acpi-pm", 1, pm_fields, pm_loaded);
static const struct device_ops pm_ops = {"acpi-pm", pm_reset, &pm_state};

enum status acpi_pm_init(
	struct acpi_pm *pm, struct machine *machine, u16 base, u8 s5_type, struct irq sci)
{
	memset(pm, 0, sizeof(*pm));
	pm->sci = sci;
	pm->s5_type = s5_type;
	enum status status = region_attach(machine, &pm->region, "acpi-pm", BUS_PORT, base,
		ACPI_PM_PORTS, 1 | 2 | 4, pm_access, pm);
	if (status != STATUS_OK)
		return status;
	event_init(&pm->carry, machine, pm_carry, pm);
	device_attach(machine, &pm->device, &pm_ops, "acpi-pm", pm);
	return STATUS_OK;
}
