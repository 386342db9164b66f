/* SPDX-License-Identifier: MIT */
#include "devices/irqchip/ioapic.h"
#include "base/bits.h"
#include "base/memory.h"
#include "devices/region.h"

enum ioapic_offset { IOREGSEL = 0x00, IOWIN = 0x10, IOEOI = 0x40 };
enum ioapic_register {
	REGISTER_ID,
	REGISTER_VERSION,
	REGISTER_ARBITRATION,
	REGISTER_REDIRECTION = 0x10
};

#define ENTRY_LOGICAL BIT(11)
#define ENTRY_DELIVERY_STATUS BIT(12)
#define ENTRY_REMOTE_IRR BIT(14)
#define ENTRY_LEVEL BIT(15)
#define ENTRY_MASKED BIT(16)
#define ENTRY_READ_ONLY (ENTRY_DELIVERY_STATUS | ENTRY_REMOTE_IRR)
#define ENTRY_EXISTS (((u64)0xff << 56) | 0x1ffff)

static void pin_send(struct ioapic *ioapic, unsigned pin)
{
	u64 entry = ioapic->redirection[pin];
	struct apic_message message = {
		.destination = apic_destination_from_8((u8)(entry >> 56)),
		.vector = (u8)entry,
		.delivery = entry >> 8 & 7,
		.is_logical = entry & ENTRY_LOGICAL,
		.is_level = entry & ENTRY_LEVEL,
	};

	ioapic->port.send(ioapic->port.owner, &message);
}

/* A level-triggered pin that is up asks again whenever nobody is still serving it. */
static void pin_service_level(struct ioapic *ioapic, unsigned pin)
{
	u64 *entry = &ioapic->redirection[pin];

	if ((*entry & (ENTRY_LEVEL | ENTRY_MASKED | ENTRY_REMOTE_IRR)) != ENTRY_LEVEL)
		return;
	if (!(ioapic->levels >> pin & 1))
		return;
	*entry |= ENTRY_REMOTE_IRR;
	pin_send(ioapic, pin);
}

void ioapic_set_line(void *owner, unsigned line, bool level)
{
	struct ioapic *ioapic = owner;

	if (line >= IOAPIC_PINS)
		return;
	u32 bit = (u32)BIT(line);
	bool is_rising = level && !(ioapic->levels & bit);
	ioapic->levels = level ? ioapic->levels | bit : ioapic->levels & ~bit;
	u64 entry = ioapic->redirection[line];
	if (entry & ENTRY_LEVEL)
		pin_service_level(ioapic, line);
	else if (is_rising && !(entry & ENTRY_MASKED)) /* a masked edge is lost: 82093AA, 3.2.4 */
		pin_send(ioapic, line);
}

void ioapic_end_of_interrupt(void *owner, u8 vector)
{
	struct ioapic *ioapic = owner;

	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		u64 *entry = &ioapic->redirection[pin];
		if ((u8)*entry != vector || !(*entry & ENTRY_REMOTE_IRR))
			continue;
		*entry &= ~ENTRY_REMOTE_IRR;
		pin_service_level(ioapic, pin);
	}
}

static void redirection_write(struct ioapic *ioapic, unsigned index, u32 value)
{
	unsigned pin = index >> 1, shift = index & 1 ? 32 : 0;
	u64 *entry = &ioapic->redirection[pin];
	u64 writable = ((u64)0xffffffff << shift) & ENTRY_EXISTS & ~ENTRY_READ_ONLY;

	*entry = (*entry & ~writable) | (((u64)value << shift) & writable);
	if (!(*entry &
		    ENTRY_LEVEL)) /* remote IRR has no meaning for edges; kernels clear it this way */
		*entry &= ~ENTRY_REMOTE_IRR;
	pin_service_level(ioapic, pin);
}

static u32 register_read(const struct ioapic *ioapic)
{
	unsigned index = ioapic->index;

	switch (index) {
	case REGISTER_ID:
	case REGISTER_ARBITRATION:
		return (u32)ioapic->id << 24;
	case REGISTER_VERSION:
		return (IOAPIC_PINS - 1) << 16 | IOAPIC_VERSION;
	}
	index -= REGISTER_REDIRECTION;
	if (index >= 2 * IOAPIC_PINS)
		return 0;
	return (u32)(ioapic->redirection[index >> 1] >> (index & 1 ? 32 : 0));
}

static void register_write(struct ioapic *ioapic, u32 value)
{
	if (ioapic->index == REGISTER_ID)
		ioapic->id = value >> 24 & 0xf;
	else if (ioapic->index - REGISTER_REDIRECTION < 2 * IOAPIC_PINS &&
		ioapic->index >= REGISTER_REDIRECTION)
		redirection_write(ioapic, ioapic->index - REGISTER_REDIRECTION, value);
}

static void ioapic_access(void *owner, struct bus_access *access)
{
	struct ioapic *ioapic = owner;

	if (!access->is_write) {
		u64 unit = align_down(access->address, 4);
		u32 value = unit == IOREGSEL ? ioapic->index
			: unit == IOWIN	     ? register_read(ioapic)
					     : 0;
		access->value = value >> (8 * (access->address - unit));
		return;
	}
	/* The select register is one byte, and some write just that; the window is 32 bits: 82093AA, 3.1. */
	if (access->address == IOREGSEL)
		ioapic->index = (u8)access->value;
	else if (access->address == IOWIN && access->size == 4)
		register_write(ioapic, (u32)access->value);
	else if (access->address == IOEOI)
		ioapic_end_of_interrupt(ioapic, (u8)access->value);
}

static void ioapic_reset(struct device *device)
{
	struct ioapic *ioapic = container_of(device, struct ioapic, device);

	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
		ioapic->redirection[pin] = ENTRY_MASKED;
	ioapic->levels = 0;
	ioapic->index = 0;
	ioapic->id = ioapic->initial_id;
}

static bool ioapic_loaded(void *object)
{
	struct ioapic *ioapic = object;

	return ioapic->levels < BIT(IOAPIC_PINS) && ioapic->id < 16;
}

static const struct state_field ioapic_fields[] = {
	STATE_ARRAY(struct ioapic, redirection),
	STATE_UINT(struct ioapic, levels),
	STATE_UINT(struct ioapic, index),
	STATE_UINT(struct ioapic, id),
};
static const struct state_table ioapic_state =
	STATE_TABLE("ioapic", 1, ioapic_fields, ioapic_loaded);
static const struct device_ops ioapic_ops = {"ioapic", ioapic_reset, &ioapic_state};

enum status ioapic_init(
	struct ioapic *ioapic, struct machine *machine, u64 base, u8 id, struct apic_port port)
{
	memset(ioapic, 0, sizeof(*ioapic));
	ioapic->port = port;
	ioapic->initial_id = id & 0xf;
	enum status status = region_attach(machine, &ioapic->region, "ioapic", BUS_MEMORY, base,
		0x1000, 1 | 2 | 4, ioapic_access, ioapic);
	if (status == STATUS_OK)
		device_attach(machine, &ioapic->device, &ioapic_ops, "ioapic0", ioapic);
	return status;
}
