/* SPDX-License-Identifier: MIT */
/* Finding the device, and giving it accesses only of sizes that it takes. */
#include "base/bits.h"
#include "core/bus.h"
#include "core/machine.h"
#include "core/trace.h"

void bus_init(struct bus *bus)
{
	list_init(&bus->regions);
	bus->last = NULL;
}

enum status bus_attach(struct bus *bus, struct bus_region *region)
{
	struct list *at = &bus->regions;
	list_for_each (node, &bus->regions) {
		struct bus_region *other = container_of(node, struct bus_region, link);
		if (region->base < other->base + other->bytes &&
			other->base < region->base + region->bytes)
			return STATUS_BUSY;
		if (other->base > region->base) {
			at = node;
			break;
		}
	}
	list_insert_before(at, &region->link);
	return STATUS_OK;
}

static struct bus_region *find_region(struct bus *bus, u64 address)
{
	struct bus_region *last = __atomic_load_n(&bus->last, __ATOMIC_RELAXED);
	if (last && address - last->base < last->bytes)
		return last;
	list_for_each (node, &bus->regions) {
		struct bus_region *region = container_of(node, struct bus_region, link);
		if (address - region->base < region->bytes) {
			__atomic_store_n(&bus->last, region, __ATOMIC_RELAXED);
			return region;
		}
	}
	return NULL;
}

/* One access that the region takes as it is. */
static void access_region(
	struct machine *machine, struct bus_region *region, struct bus_access *access)
{
	struct host_lock *lock = region->lock ? region->lock : &machine->lock;
	if (region->is_lockless)
		lock = NULL;
	if (lock)
		host_lock(lock);
	region->access(region->owner, access);
	if (lock)
		host_unlock(lock);
}

/* The largest size that the region takes, at most `limit`, at an offset; 0 where it takes none so small. */
static unsigned fitting_size(const struct bus_region *region, u64 offset, unsigned limit)
{
	for (unsigned size = 8; size; size >>= 1) {
		bool aligned = region->unaligned || !(offset & (size - 1));
		if (size <= limit && (region->sizes & size) && aligned &&
			offset + size <= region->bytes)
			return size;
	}
	return 0;
}

/* A byte of a region whose smallest access is wider: read the unit that holds it; writes are lost. */
static u8 read_narrow(struct machine *machine, struct bus_region *region,
	const struct bus_access *whole, u64 offset)
{
	unsigned size = region->sizes & -region->sizes;
	u64 start = align_down(offset, size);
	if (start + size > region->bytes)
		return 0xff;
	struct bus_access part = {
		.space = whole->space, .size = size, .address = start, .vcpu = whole->vcpu};
	access_region(machine, region, &part);
	return part.value >> (8 * (offset - start));
}

/* Does the next piece of the access at `done` bytes; returns the piece's size. */
static unsigned access_piece(
	struct machine *machine, struct bus_access *access, unsigned done, u64 *value)
{
	u64 address = access->address + done;
	struct bus_region *region = find_region(&machine->buses[access->space], address);
	if (!region) {
		trace("nobody at %s %lx (%s)", access->space == BUS_PORT ? "port" : "address",
			address, access->is_write ? "write" : "read");
		*value |= (u64)0xff << (8 * done);
		return 1;
	}
	u64 offset = address - region->base;
	unsigned size = fitting_size(region, offset, access->size - done);
	if (!size) {
		if (!access->is_write)
			*value |= (u64)read_narrow(machine, region, access, offset) << (8 * done);
		return 1;
	}
	struct bus_access part = {.space = access->space,
		.is_write = access->is_write,
		.size = size,
		.address = offset,
		.vcpu = access->vcpu,
		.value =
			access->is_write ? (access->value >> (8 * done)) & bits_mask(8 * size) : 0};
	access_region(machine, region, &part);
	*value |= (part.value & bits_mask(8 * size)) << (8 * done);
	return size;
}

static bool dispatch_msr(struct machine *machine, struct bus_access *access)
{
	struct bus_region *region = find_region(&machine->buses[BUS_MSR], access->address);
	if (!region)
		return false;
	u64 index = access->address;
	access->address -= region->base;
	access_region(machine, region, access);
	access->address = index;
	return !access->is_refused;
}

bool bus_dispatch(struct machine *machine, struct bus_access *access)
{
	if (access->space == BUS_MSR)
		return dispatch_msr(machine, access);
	u64 value = 0;
	for (unsigned done = 0; done < access->size;)
		done += access_piece(machine, access, done, &value);
	if (!access->is_write)
		access->value = value;
	return true;
}
