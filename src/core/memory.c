/* SPDX-License-Identifier: MIT */
/* Guest RAM. */
#include "base/bits.h"
#include "base/memory.h"
#include "core/machine.h"
#include "core/memory.h"
#include "x86/tlb.h"

enum status memory_init(struct memory *memory, u8 *host, u64 bytes)
{
	if (bytes < MEMORY_MINIMUM || bytes > MEMORY_MAXIMUM || (bytes & ~PAGE_MASK))
		return STATUS_INVALID;
	*memory = (struct memory){.host = host,
		.bytes = bytes,
		.low_bytes = MIN(bytes, MEMORY_HOLE_START),
		.page_watchers = host_memory_get(bytes >> PAGE_SHIFT),
		.page_writers = host_memory_get((bytes >> PAGE_SHIFT) * sizeof(u32))};
	if (memory->page_watchers && memory->page_writers)
		return STATUS_OK;
	memory_fini(memory);
	return STATUS_NO_MEMORY;
}

void memory_fini(struct memory *memory)
{
	host_memory_put(memory->page_watchers, memory->bytes >> PAGE_SHIFT);
	host_memory_put(memory->page_writers, (memory->bytes >> PAGE_SHIFT) * sizeof(u32));
	memory->page_watchers = NULL;
	memory->page_writers = NULL;
}

bool memory_offset(const struct memory *memory, u64 gpa, u64 bytes, u64 *offset)
{
	u64 end, start;
	if (gpa < memory->low_bytes) {
		start = gpa;
		end = memory->low_bytes;
	} else if (gpa >= MEMORY_HIGH_START &&
		gpa - MEMORY_HIGH_START < memory->bytes - memory->low_bytes) {
		start = gpa - MEMORY_HIGH_START + memory->low_bytes;
		end = memory->bytes;
	} else {
		return false;
	}
	if (bytes > end - start)
		return false;
	*offset = start;
	return true;
}

u8 *memory_host(const struct memory *memory, u64 gpa, u64 bytes)
{
	u64 offset;
	return memory_offset(memory, gpa, bytes, &offset) ? memory->host + offset : NULL;
}

u64 memory_gpa(const struct memory *memory, u64 offset)
{
	return offset < memory->low_bytes ? offset : offset - memory->low_bytes + MEMORY_HIGH_START;
}

bool memory_read(struct machine *machine, u64 gpa, void *to, u64 bytes)
{
	u64 offset;
	if (!memory_offset(&machine->memory, gpa, bytes, &offset))
		return false;
	memcpy(to, machine->memory.host + offset, bytes);
	return true;
}

void memory_written(struct machine *machine, u64 offset, u64 bytes)
{
	struct memory *memory = &machine->memory;
	if (!bytes)
		return;
	for (u64 page = offset >> PAGE_SHIFT; page <= (offset + bytes - 1) >> PAGE_SHIFT; page++) {
		if (memory_is_watched(memory, page << PAGE_SHIFT))
			machine->engine->memory_changed(
				machine, memory_gpa(memory, page << PAGE_SHIFT), PAGE_SIZE, NULL);
	}
}

bool memory_write(struct machine *machine, u64 gpa, const void *from, u64 bytes)
{
	struct memory *memory = &machine->memory;
	u64 offset;
	if (!memory_offset(memory, gpa, bytes, &offset))
		return false;
	memcpy(memory->host + offset, from, bytes);
	memory_written(machine, offset, bytes);
	return true;
}

bool memory_release(struct machine *machine, u64 gpa, u64 bytes)
{
	u64 offset;
	if ((gpa | bytes) & ~PAGE_MASK || !memory_offset(&machine->memory, gpa, bytes, &offset))
		return false;
	host_memory_release(machine->memory.host + offset, bytes);
	memory_written(machine, offset, bytes);
	return true;
}
