/* SPDX-License-Identifier: MIT */
/*
 * One PCI bus: who sits in which slot, where memory accesses go, and what becomes of interrupts. Each slot has one function.
 *
 * The BARs of all functions lie in one window that the bus claims of the machine as a whole, so a guest may move them while others
 * use them: nothing but the bus looks, with the machine's lock held. A BAR outside of the window answers nobody; where two lie on each
 * other the lower slot answers; RAM always comes first, since an engine asks the bus only where there is none.
 */
#ifndef DEVICES_PCI_BUS_H
#define DEVICES_PCI_BUS_H

#include "core/machine.h"

#define PCI_SLOTS 32
#define PCI_PINS 4

struct pci_function;

/* Where messages go: given by the board. With machine->lock held. */
struct pci_msi_port {
	void (*send)(void *owner, u64 address, u32 data);
	void *owner;
};

struct pci_bus {
	struct machine *machine;
	struct bus_region window;
	struct pci_function *functions[PCI_SLOTS]; /* NULL: an empty slot */
	struct irq pins[PCI_PINS]; /* INTA to INTD of slot 0; others are turned by their slot */
	u32 levels[PCI_PINS];	   /* who pulls at it, a bit a slot */
	struct pci_msi_port msi;
	u32 next_bar; /* where reset places the next one */
};

/* window_base is aligned to window_bytes, a power of two. */
enum status pci_bus_init(struct pci_bus *bus, struct machine *machine, u32 window_base,
	u32 window_bytes, const struct irq pins[PCI_PINS], struct pci_msi_port msi) must_use;

/* Configuration space of bus 0: register is below 4096, size 1, 2 or 4, aligned. An empty slot reads as all ones. */
u32 pci_bus_config_read(struct pci_bus *bus, unsigned slot, unsigned at, unsigned size);
void pci_bus_config_write(
	struct pci_bus *bus, unsigned slot, unsigned at, unsigned size, u32 value);

/* A function's pin (0: INTA) is pulled, or let go. */
void pci_bus_set_pin(struct pci_bus *bus, unsigned slot, unsigned pin, bool level);
/* Which of the board's four wires a slot's pin is on: PCI-to-PCI Bridge Architecture 1.2, 9.1. */
static inline unsigned pci_bus_wire(unsigned slot, unsigned pin)
{
	return (slot + pin) % PCI_PINS;
}

#endif
