/* SPDX-License-Identifier: MIT */
#include "devices/pci/bus.h"
#include "base/bits.h"
#include "base/memory.h"
#include "devices/pci/function.h"
#include "devices/region.h"

/* ---- memory ---- */

/* Hands the access to the BAR that it falls into; false: it falls into none of the function's. */
static bool function_takes(struct pci_function *function, struct bus_access *access, u64 address)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		struct pci_bar *bar = &function->bars[i];
		u64 offset = address - pci_function_bar_base(function, i);

		if (!bar->bytes || offset >= bar->bytes || access->size > bar->bytes - offset)
			continue;
		access->address = offset;
		bar->access(bar->owner, access);
		return true;
	}
	return false;
}

static void window_access(void *owner, struct bus_access *access)
{
	struct pci_bus *bus = owner;
	u64 offset = access->address, address = bus->window.base + offset;

	if (!access->is_write)
		access->value = ~(u64)0;
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		struct pci_function *function = bus->functions[slot];

		if (function && pci_function_decodes_memory(function) &&
			function_takes(function, access, address))
			return;
	}
}

/* ---- configuration space ---- */

u32 pci_bus_config_read(struct pci_bus *bus, unsigned slot, unsigned at, unsigned size)
{
	struct pci_function *function = slot < PCI_SLOTS ? bus->functions[slot] : NULL;

	if (!function)
		return ~(u32)0;
	/* There is no extended capability: PCI Express 3.0, 7.9.1. */
	return at < PCI_CONFIG_BYTES ? pci_function_config_read(function, at, size) : 0;
}

void pci_bus_config_write(struct pci_bus *bus, unsigned slot, unsigned at, unsigned size, u32 value)
{
	struct pci_function *function = slot < PCI_SLOTS ? bus->functions[slot] : NULL;

	if (function && at < PCI_CONFIG_BYTES)
		pci_function_config_write(function, at, size, value);
}

/* ---- interrupts ---- */

void pci_bus_set_pin(struct pci_bus *bus, unsigned slot, unsigned pin, bool level)
{
	unsigned wire = pci_bus_wire(slot, pin);
	u32 bit = (u32)BIT(slot), before = bus->levels[wire];

	bus->levels[wire] = level ? before | bit : before & ~bit;
	if (!bus->levels[wire] != !before)
		irq_set(&bus->pins[wire], bus->levels[wire] != 0);
}

enum status pci_bus_init(struct pci_bus *bus, struct machine *machine, u32 window_base,
	u32 window_bytes, const struct irq pins[PCI_PINS], struct pci_msi_port msi)
{
	memset(bus, 0, sizeof(*bus));
	bus->machine = machine;
	bus->msi = msi;
	bus->next_bar = window_base;
	memcpy(bus->pins, pins, sizeof(bus->pins));
	return region_attach(machine, &bus->window, "pci", BUS_MEMORY, window_base, window_bytes,
		1 | 2 | 4 | 8, window_access, bus);
}
