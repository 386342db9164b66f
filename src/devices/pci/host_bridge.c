/* SPDX-License-Identifier: MIT */
#include "devices/pci/host_bridge.h"
#include "base/bits.h"
#include "base/memory.h"
#include "devices/region.h"

#define ADDRESS_ENABLE BIT(31)
#define RESET_OFFSET 1
#define DATA_OFFSET 4
enum reset_control { RESET_HARD = 1 << 1, RESET_CPU = 1 << 2, RESET_FULL = 1 << 3 };

/*
 * The bridge's header, by dwords: Red Hat's ids of a generic PCI host bridge, class 0600h (host bridge). It has no BARs
 * and nothing that can be written.
 */
static const u32 bridge_header[] = {0x00081b36, 0x00000000, 0x06000000};

static u32 config_read(const struct pci_host_bridge *bridge)
{
	u32 function = (bridge->address >> 8) & 0xffff; /* bus, device, function */
	u32 dword = (bridge->address >> 2) & 63;
	if (!(bridge->address & ADDRESS_ENABLE) || function)
		return ~(u32)0;
	return dword < ARRAY_SIZE(bridge_header) ? bridge_header[dword] : 0;
}

static void write_reset_control(struct pci_host_bridge *bridge, u8 value)
{
	bool was_set = bridge->reset_control & RESET_CPU;
	bridge->reset_control = value & (RESET_HARD | RESET_CPU | RESET_FULL);
	if (!was_set && bridge->reset_control & RESET_CPU)
		machine_request_reset(bridge->device.machine);
}

static void read_ports(const struct pci_host_bridge *bridge, struct bus_access *access)
{
	unsigned shift = 8 * (access->address & 3);
	if (access->address >= DATA_OFFSET)
		access->value = config_read(bridge) >> shift;
	else if (access->size == 4)
		access->value = bridge->address;
	else if (access->address == RESET_OFFSET && access->size == 1)
		access->value = bridge->reset_control;
	else
		access->value = ~(u64)0;
}

/* Only a whole dword goes to the address register: a byte at CF9h is the reset control register's. */
static void host_bridge_access(void *owner, struct bus_access *access)
{
	struct pci_host_bridge *bridge = owner;
	if (!access->is_write)
		read_ports(bridge, access);
	else if (access->address == 0 && access->size == 4)
		bridge->address = (u32)access->value & ~(u32)3 & ~(u32)0x7f000000;
	else if (access->address == RESET_OFFSET && access->size == 1)
		write_reset_control(bridge, (u8)access->value);
}

static void host_bridge_reset(struct device *device)
{
	struct pci_host_bridge *bridge = container_of(device, struct pci_host_bridge, device);
	bridge->address = 0;
	bridge->reset_control = 0;
}

static const struct state_field host_bridge_fields[] = {
	STATE_UINT(struct pci_host_bridge, address),
	STATE_UINT(struct pci_host_bridge, reset_control),
};
static const struct state_table host_bridge_state =
	STATE_TABLE("pci-host-bridge", 1, host_bridge_fields, NULL);
static const struct device_ops host_bridge_ops = {
	"pci-host-bridge", host_bridge_reset, &host_bridge_state};

enum status pci_host_bridge_init(struct pci_host_bridge *bridge, struct machine *machine, u16 base)
{
	memset(bridge, 0, sizeof(*bridge));
	enum status status = region_attach(machine, &bridge->region, "pci-config", BUS_PORT, base,
		8, 1 | 2 | 4, host_bridge_access, bridge);
	if (status == STATUS_OK)
		device_attach(
			machine, &bridge->device, &host_bridge_ops, "pci-host-bridge", bridge);
	return status;
}
