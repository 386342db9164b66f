/* SPDX-License-Identifier: MIT */
#include "devices/pci/host_bridge.h"
#include "base/bits.h"
#include "devices/region.h"

#define ADDRESS_ENABLE BIT(31)
#define RESET_OFFSET 1
#define DATA_OFFSET 4
enum reset_control { RESET_HARD = 1 << 1, RESET_CPU = 1 << 2, RESET_FULL = 1 << 3 };

/* Red Hat's ids of a generic PCI host bridge. */
static const struct pci_identity bridge_identity = {
	.vendor = 0x1b36, .device = 0x0008, .class_code = 0x060000};

/* Bus, device and function, as both ways have them in one number: the slot, or one that is empty. */
static unsigned slot_of(unsigned routing)
{
	return routing & 7 || routing >> 8 ? PCI_SLOTS : routing >> 3 & 31;
}

static void config_access(
	struct pci_host_bridge *bridge, struct bus_access *access, unsigned routing, unsigned at)
{
	unsigned slot = slot_of(routing);

	if (access->is_write)
		pci_bus_config_write(bridge->bus, slot, at, access->size, (u32)access->value);
	else
		access->value = pci_bus_config_read(bridge->bus, slot, at, access->size);
}

static void write_reset_control(struct pci_host_bridge *bridge, u8 value)
{
	bool was_set = bridge->reset_control & RESET_CPU;
	bridge->reset_control = value & (RESET_HARD | RESET_CPU | RESET_FULL);
	if (!was_set && bridge->reset_control & RESET_CPU)
		machine_request_reset(bridge->device.machine);
}

static void data_access(struct pci_host_bridge *bridge, struct bus_access *access)
{
	if (bridge->address & ADDRESS_ENABLE)
		config_access(bridge, access, bridge->address >> 8 & 0xffff,
			(bridge->address & 0xfc) + (access->address & 3));
	else
		access->value = ~(u64)0;
}

/* Only a whole dword goes to the address register: a byte at CF9h is the reset control register's. */
static void ports_access(void *owner, struct bus_access *access)
{
	struct pci_host_bridge *bridge = owner;
	bool is_address = access->address == 0 && access->size == 4;
	bool is_reset = access->address == RESET_OFFSET && access->size == 1;

	if (access->address >= DATA_OFFSET)
		data_access(bridge, access);
	else if (!access->is_write)
		access->value = is_address ? bridge->address
			: is_reset	   ? bridge->reset_control
					   : ~(u64)0;
	else if (is_address)
		bridge->address = (u32)access->value & ~(u32)3 & ~(u32)0x7f000000;
	else if (is_reset)
		write_reset_control(bridge, (u8)access->value);
}

static void ecam_access(void *owner, struct bus_access *access)
{
	config_access(owner, access, (unsigned)(access->address >> 12), access->address & 0xfff);
}

static void host_bridge_reset(struct device *device)
{
	struct pci_host_bridge *bridge = container_of(device, struct pci_host_bridge, device);
	bridge->address = 0;
	bridge->reset_control = 0;
	pci_function_reset(&bridge->function);
}

static const struct state_field host_bridge_fields[] = {
	STATE_UINT(struct pci_host_bridge, address),
	STATE_UINT(struct pci_host_bridge, reset_control),
};
static const struct state_table host_bridge_state =
	STATE_TABLE("pci-host-bridge", 1, host_bridge_fields, NULL);
static const struct device_ops host_bridge_ops = {
	"pci-host-bridge", host_bridge_reset, &host_bridge_state};

enum status pci_host_bridge_init(struct pci_host_bridge *bridge, struct machine *machine,
	struct pci_bus *bus, u16 base, u32 ecam_base)
{
	memset(bridge, 0, sizeof(*bridge));
	bridge->bus = bus;
	enum status status = region_attach(machine, &bridge->ports, "pci-config", BUS_PORT, base, 8,
		1 | 2 | 4, ports_access, bridge);
	if (status == STATUS_OK)
		status = region_attach(machine, &bridge->ecam, "pci-ecam", BUS_MEMORY, ecam_base,
			PCI_ECAM_BYTES, 1 | 2 | 4, ecam_access, bridge);
	if (status != STATUS_OK)
		return status;
	device_attach(machine, &bridge->device, &host_bridge_ops, "pci-host-bridge", bridge);
	pci_function_init(&bridge->function, bus, 0, "pci-host-bridge", &bridge_identity);
	return STATUS_OK;
}
