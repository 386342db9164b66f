/* SPDX-License-Identifier: MIT */
/* The words of PCI's configuration space. Source: PCI Local Bus Specification 3.0, chapter 6. */
#ifndef DEVICES_PCI_PCI_H
#define DEVICES_PCI_PCI_H

enum pci_register {
	PCI_VENDOR_ID = 0x00,
	PCI_DEVICE_ID = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08,
	PCI_CLASS = 0x09, /* three bytes: interface, subclass, class */
	PCI_HEADER_TYPE = 0x0e,
	PCI_BAR0 = 0x10,
	PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
	PCI_SUBSYSTEM_ID = 0x2e,
	PCI_CAPABILITIES = 0x34,
	PCI_INTERRUPT_LINE = 0x3c,
	PCI_INTERRUPT_PIN = 0x3d,
	PCI_FIRST_CAPABILITY = 0x40,
};

enum pci_command {
	PCI_COMMAND_MEMORY = 1 << 1,
	PCI_COMMAND_MASTER = 1 << 2,
	PCI_COMMAND_INTX_DISABLE = 1 << 10,
};

enum pci_status {
	PCI_STATUS_INTERRUPT = 1 << 3,
	PCI_STATUS_CAPABILITIES = 1 << 4,
};

enum pci_capability_id {
	PCI_CAPABILITY_VENDOR = 0x09,
	PCI_CAPABILITY_MSIX = 0x11,
};

#endif
