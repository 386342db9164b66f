/* SPDX-License-Identifier: MIT */
/*
 * What sits in a slot: 256 bytes of configuration space, memory BARs of 32 bits, an interrupt pin, MSI-X. A device has one within itself,
 * adds what it has before the machine runs, and raises interrupts through it.
 * Source: PCI Local Bus Specification 3.0, 6.1 to 6.8.
 */
#ifndef DEVICES_PCI_FUNCTION_H
#define DEVICES_PCI_FUNCTION_H

#include "base/memory.h"
#include "devices/pci/bus.h"
#include "devices/pci/msix.h"
#include "devices/pci/pci.h"

#define PCI_BARS 6
#define PCI_CONFIG_BYTES 256

struct pci_bar {
	u32 bytes; /* a power of two, at least 16; 0: there is none */
	void (*access)(void *owner,
		struct bus_access *access); /* any size, aligned; address within the BAR */
	void *owner;
	u32 home; /* where reset puts it */
};

struct pci_identity {
	u16 vendor, device, subsystem_vendor, subsystem;
	u32 class_code; /* class, subclass, interface */
	u8 revision;
};

struct pci_function {
	struct pci_bus *bus;
	struct state_object state;
	char state_name[24];
	u8 slot;
	bool has_pin;
	u8 interrupt_line; /* what firmware would have left there: the board's number of the wire */
	u8 next_capability;
	u8 config[PCI_CONFIG_BYTES];
	u8 initial[PCI_CONFIG_BYTES];  /* as reset leaves it */
	u8 writable[PCI_CONFIG_BYTES]; /* which bits a guest may change */
	struct pci_bar bars[PCI_BARS];
	struct msix msix;
	bool pin_level; /* what the device wants of its pin */
	/* Accesses to registers in the device's own capabilities: `at` is where in configuration space. NULL: plain bytes. */
	u32 (*config_read)(void *owner, unsigned at, unsigned size);
	void (*config_write)(void *owner, unsigned at, unsigned size, u32 value);
	void *owner;
	u8 hooked_start, hooked_bytes; /* for which bytes they are asked */
};

/* Zeroes it and puts it into a slot, which must be empty; state is saved as NAME.pci. */
void pci_function_init(struct pci_function *function, struct pci_bus *bus, unsigned slot,
	const char *name, const struct pci_identity *identity);
/* Places it in the bus's window. */
void pci_function_add_bar(struct pci_function *function, unsigned index, u32 bytes,
	void (*access)(void *owner, struct bus_access *access), void *owner);
/* Its `bytes` follow the two of the capability's header; returns where it begins. */
unsigned pci_function_add_capability(
	struct pci_function *function, u8 id, const void *content, unsigned bytes);
/* INTA. line: what the interrupt line register holds at power-on. */
void pci_function_add_pin(struct pci_function *function, u8 line);
/* A table of `vectors` in a BAR that hands its accesses to msix_table_access and msix_pending_access. */
void pci_function_add_msix(struct pci_function *function, unsigned vectors, unsigned bar,
	u32 table_offset, u32 pending_offset);

void pci_function_reset(struct pci_function *function);
u32 pci_function_config_read(struct pci_function *function, unsigned at, unsigned size);
void pci_function_config_write(
	struct pci_function *function, unsigned at, unsigned size, u32 value);

/* What the device wants of its pin: it shows unless MSI-X is on or the guest has switched it off. */
void pci_function_set_pin(struct pci_function *function, bool level);

static inline u16 pci_function_word(const struct pci_function *function, unsigned at)
{
	return (u16)(function->config[at] | function->config[at + 1] << 8);
}

static inline bool pci_function_decodes_memory(const struct pci_function *function)
{
	return function->config[PCI_COMMAND] & PCI_COMMAND_MEMORY;
}

static inline u32 pci_function_bar_base(const struct pci_function *function, unsigned index)
{
	u32 value;

	memcpy(&value, function->config + PCI_BAR0 + 4 * index, 4);
	return value & ~(u32)15;
}

#endif
