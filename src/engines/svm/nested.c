/* SPDX-License-Identifier: MIT */
/*
 * Nested page tables: the guest's RAM, all of it from the start, by 2 MiB pages. What is not in them is a device's, or nobody's: its accesses exit, and
 * are emulated. APM volume 2, 15.25.
 */
#include "core/host_processor.h"
#include "engines/svm/vcpu.h"
#include "x86/tlb.h"

#define ENTRY_PRESENT BIT(0)
#define ENTRY_WRITABLE BIT(1)
#define ENTRY_USER BIT(2) /* nested walks are user accesses */
#define ENTRY_LARGE BIT(7)
#define ENTRY_FLAGS (ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_USER)
#define ENTRY_ADDRESS 0x000ffffffffff000u
#define LARGE_BYTES ((u64)2 << 20)
#define LEVELS 4

/* Tables are reached by their physical addresses, which are where they lie. */
static u64 *table_of(u64 entry)
{
	return (u64 *)(entry & ENTRY_ADDRESS);
}

/* The entry of gpa at a level; NULL: no memory for a table on the way. */
static u64 *entry_find(u64 *root, u64 gpa, unsigned level)
{
	u64 *table = root;
	for (unsigned at = LEVELS - 1; at > level; at--) {
		u64 *entry = &table[bits_get(gpa, 12 + 9 * at, 9)];
		if (!*entry) {
			void *page = host_memory_get(PAGE_SIZE);
			if (!page)
				return NULL;
			*entry = host_physical_address(page) | ENTRY_FLAGS;
		}
		table = table_of(*entry);
	}
	return &table[bits_get(gpa, 12 + 9 * level, 9)];
}

static enum status map(u64 *root, u64 gpa, const u8 *host, u64 bytes)
{
	u64 physical = host_physical_address(host);
	while (bytes) {
		bool large =
			!(gpa % LARGE_BYTES) && !(physical % LARGE_BYTES) && bytes >= LARGE_BYTES;
		u64 piece = large ? LARGE_BYTES : PAGE_SIZE;
		u64 *entry = entry_find(root, gpa, large);
		if (!entry)
			return STATUS_NO_MEMORY;
		*entry = physical | ENTRY_FLAGS | (large ? ENTRY_LARGE : 0);
		gpa += piece;
		physical += piece;
		bytes -= piece;
	}
	return STATUS_OK;
}

static void free_tables(u64 *table, unsigned level)
{
	for (unsigned i = 0; level && i < 512; i++)
		if (table[i] && !(level == 1 && (table[i] & ENTRY_LARGE)))
			free_tables(table_of(table[i]), level - 1);
	host_memory_put(table, PAGE_SIZE);
}

enum status svm_nested_create(struct machine *machine)
{
	struct svm_machine *svm = machine->engine_data;
	const struct memory *memory = &machine->memory;
	svm->nested_root = host_memory_get(PAGE_SIZE);
	if (!svm->nested_root)
		return STATUS_NO_MEMORY;
	svm->nested_root_physical = host_physical_address(svm->nested_root);
	enum status status = map(svm->nested_root, 0, memory->host, memory->low_bytes);
	if (status == STATUS_OK)
		status = map(svm->nested_root, MEMORY_HIGH_START, memory->host + memory->low_bytes,
			memory->bytes - memory->low_bytes);
	if (status != STATUS_OK)
		svm_nested_destroy(machine);
	return status;
}

void svm_nested_destroy(struct machine *machine)
{
	struct svm_machine *svm = machine->engine_data;
	free_tables(svm->nested_root, LEVELS - 1);
	svm->nested_root = NULL;
}
