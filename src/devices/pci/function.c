/* SPDX-License-Identifier: MIT */
#include "devices/pci/function.h"
#include "base/bits.h"
#include "base/check.h"

static void put(u8 *at, u32 value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (u8)(value >> 8 * i);
}

/* ---- interrupts ---- */

static void pin_update(struct pci_function *function)
{
	bool hidden = msix_is_enabled(&function->msix) ||
		pci_function_word(function, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE;

	function->config[PCI_STATUS] &= (u8)~PCI_STATUS_INTERRUPT;
	if (function->pin_level)
		function->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	if (function->has_pin)
		pci_bus_set_pin(function->bus, function->slot, 0, function->pin_level && !hidden);
}

void pci_function_set_pin(struct pci_function *function, bool level)
{
	function->pin_level = level;
	pin_update(function);
}

/* ---- configuration space ---- */

static bool is_hooked(const struct pci_function *function, unsigned at)
{
	return at - function->hooked_start < function->hooked_bytes;
}

u32 pci_function_config_read(struct pci_function *function, unsigned at, unsigned size)
{
	u32 value = 0;

	if (is_hooked(function, at))
		return function->config_read(function->owner, at, size);
	memcpy(&value, function->config + at, size);
	return value;
}

void pci_function_config_write(struct pci_function *function, unsigned at, unsigned size, u32 value)
{
	if (is_hooked(function, at)) {
		function->config_write(function->owner, at, size, value);
		return;
	}
	for (unsigned i = 0; i < size; i++) {
		u8 *byte = &function->config[at + i], mask = function->writable[at + i];

		*byte = (u8)((*byte & ~mask) | ((value >> 8 * i) & mask));
	}
	msix_control_changed(&function->msix);
	pin_update(function);
}

/* ---- what a device adds ---- */

void pci_function_add_bar(struct pci_function *function, unsigned index, u32 bytes,
	void (*access)(void *owner, struct bus_access *access), void *owner)
{
	struct pci_bus *bus = function->bus;
	unsigned at = PCI_BAR0 + 4 * index;
	u32 home = (u32)align_up(bus->next_bar, bytes);

	check(index < PCI_BARS && bytes >= 16 && !(bytes & (bytes - 1)));
	check(home + bytes - bus->window.base <= bus->window.bytes);
	function->bars[index] =
		(struct pci_bar){.bytes = bytes, .access = access, .owner = owner, .home = home};
	put(function->initial + at, home, 4);
	put(function->writable + at, ~(bytes - 1), 4);
	bus->next_bar = home + bytes;
}

unsigned pci_function_add_capability(
	struct pci_function *function, u8 id, const void *content, unsigned bytes)
{
	unsigned at = function->next_capability;
	u8 *link = &function->initial[PCI_CAPABILITIES];

	check(at + 2 + bytes <= PCI_CONFIG_BYTES);
	while (*link)
		link = &function->initial[*link + 1];
	*link = (u8)at;
	function->initial[at] = id;
	memcpy(function->initial + at + 2, content, bytes);
	function->initial[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
	function->next_capability = (u8)align_up(at + 2 + bytes, 4);
	return at;
}

void pci_function_add_pin(struct pci_function *function, u8 line)
{
	function->has_pin = true;
	function->initial[PCI_INTERRUPT_PIN] = 1;
	function->initial[PCI_INTERRUPT_LINE] = line;
	function->writable[PCI_INTERRUPT_LINE] = 0xff;
}

void pci_function_add_msix(struct pci_function *function, unsigned vectors, unsigned bar,
	u32 table_offset, u32 pending_offset)
{
	u8 content[10];
	unsigned at;

	put(content, vectors - 1, 2);
	put(content + 2, table_offset | bar, 4);
	put(content + 6, pending_offset | bar, 4);
	at = pci_function_add_capability(function, PCI_CAPABILITY_MSIX, content, sizeof(content));
	put(function->writable + at + 2, MSIX_ENABLE | MSIX_MASK_ALL, 2);
	msix_init(&function->msix, function->config + at + 2, vectors, &function->bus->msi);
}

/* ---- life ---- */

/* Firmware has been here: BARs have addresses, and memory is on. */
void pci_function_reset(struct pci_function *function)
{
	memcpy(function->config, function->initial, PCI_CONFIG_BYTES);
	msix_reset(&function->msix);
	pci_function_set_pin(function, false);
}

/* A file may hold anything in the bytes that a guest cannot write: they are what they always are. */
static bool function_loaded(void *object)
{
	struct pci_function *function = object;

	for (unsigned i = 0; i < PCI_CONFIG_BYTES; i++) {
		u8 mask = function->writable[i];
		if (i == PCI_STATUS)
			mask = PCI_STATUS_INTERRUPT;
		if ((function->config[i] ^ function->initial[i]) & ~mask)
			return false;
	}
	function->pin_level = function->config[PCI_STATUS] & PCI_STATUS_INTERRUPT;
	pin_update(function);
	return true;
}

static const struct state_field function_fields[] = {
	STATE_BLOB(struct pci_function, config),
	STATE_ARRAY(struct pci_function, msix.table),
	STATE_ARRAY(struct pci_function, msix.pending),
};
static const struct state_table function_state =
	STATE_TABLE("pci-function", 1, function_fields, function_loaded);

void pci_function_init(struct pci_function *function, struct pci_bus *bus, unsigned slot,
	const char *name, const struct pci_identity *identity)
{
	u8 *config = function->initial;
	struct text text;

	check(slot < PCI_SLOTS && !bus->functions[slot]);
	memset(function, 0, sizeof(*function));
	function->bus = bus;
	function->slot = (u8)slot;
	function->next_capability = PCI_FIRST_CAPABILITY;
	put(config + PCI_VENDOR_ID, identity->vendor, 2);
	put(config + PCI_DEVICE_ID, identity->device, 2);
	put(config + PCI_REVISION, identity->revision, 1);
	put(config + PCI_CLASS, identity->class_code, 3);
	put(config + PCI_SUBSYSTEM_VENDOR_ID, identity->subsystem_vendor, 2);
	put(config + PCI_SUBSYSTEM_ID, identity->subsystem, 2);
	put(config + PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	put(function->writable + PCI_COMMAND,
		PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE, 2);
	bus->functions[slot] = function;
	text_init(&text, function->state_name, sizeof(function->state_name));
	text_format(&text, "%s.pci", name);
	state_register(
		bus->machine, &function->state, function->state_name, &function_state, function);
}
