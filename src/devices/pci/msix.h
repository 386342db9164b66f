/* SPDX-License-Identifier: MIT */
/* MSI-X: a table of messages that a device sends for interrupts. Source: PCI Local Bus Specification 3.0, 6.8.2. */
#ifndef DEVICES_PCI_MSIX_H
#define DEVICES_PCI_MSIX_H

#include "core/bus.h"
#include "devices/pci/bus.h"

#define MSIX_VECTORS_MAX 128
#define MSIX_ENTRY_BYTES 16
#define MSIX_TABLE_BYTES (MSIX_VECTORS_MAX * MSIX_ENTRY_BYTES)
#define MSIX_PENDING_BYTES (MSIX_VECTORS_MAX / 8)

/* Message control. */
enum msix_control { MSIX_MASK_ALL = 1 << 14, MSIX_ENABLE = 1 << 15 };

struct msix {
	const u8 *
		control; /* two bytes in the function's configuration space; NULL: there is no MSI-X */
	const struct pci_msi_port *port;
	unsigned vectors;
	u32 table[MSIX_TABLE_BYTES /
		4]; /* four words an entry: address, upper address, data, control */
	u64 pending[MSIX_PENDING_BYTES / 8];
};

void msix_init(
	struct msix *msix, const u8 *control, unsigned vectors, const struct pci_msi_port *port);
void msix_reset(struct msix *msix);

static inline bool msix_is_enabled(const struct msix *msix)
{
	return msix->control && (msix->control[1] << 8 & MSIX_ENABLE);
}

/* Sends a vector's message, or remembers it while it is masked. A vector that does not exist is ignored. */
void msix_send(struct msix *msix, unsigned vector);
/* The guest may have unmasked all. */
void msix_control_changed(struct msix *msix);
/* The BAR's accesses, relative to the table and to the pending bits; any aligned size. */
void msix_table_access(struct msix *msix, struct bus_access *access);
void msix_pending_access(struct msix *msix, struct bus_access *access);

#endif
