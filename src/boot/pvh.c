/* SPDX-License-Identifier: MIT */
/* The PVH entry: xen/include/public/arch-x86/hvm/start_info.h, version 1, and elfnote.h. */
#include "base/memory.h"
#include "boot/elf.h"
#include "boot/loader.h"

enum {
	NOTE_PHYS32_ENTRY = 18,
	START_INFO_BYTES = 56,
	MODULE_BYTES = 32,
	RANGE_BYTES = 24,
	MODULE_AT = START_INFO_BYTES,
	RANGES_AT = START_INFO_BYTES + MODULE_BYTES,
};

#define START_INFO_MAGIC 0x336ec578

bool pvh_find_entry(const struct elf_image *elf, u64 *entry)
{
	const u8 *descriptor;
	u32 bytes;

	if (!elf_find_note(elf, "Xen", NOTE_PHYS32_ENTRY, &descriptor, &bytes) || bytes < 4)
		return false;
	*entry = bytes >= 8 ? field_get_64(descriptor) : field_get_32(descriptor);
	return true;
}

static void put_memory_map(u8 *at, const struct loader *loader)
{
	for (unsigned i = 0; i < loader->range_count; i++, at += RANGE_BYTES) {
		field_put_64(at, loader->ranges[i].start);
		field_put_64(at + 8, loader->ranges[i].bytes);
		field_put_32(at + 16, loader->ranges[i].type);
	}
}

static enum status write_start_info(struct loader *loader)
{
	u8 info[RANGES_AT + RANGE_BYTES * MEMORY_RANGES_MAX] = {0};

	field_put_32(info, START_INFO_MAGIC);
	field_put_32(info + 4, 1); /* version */
	if (loader->initrd) {
		field_put_32(info + 12, 1);
		field_put_64(info + 16, LOADER_INFO + MODULE_AT);
		field_put_64(info + MODULE_AT, loader->initrd);
		field_put_64(info + MODULE_AT + 8, loader->images->initrd_bytes);
	}
	field_put_64(info + 24, LOADER_COMMAND_LINE);
	field_put_64(info + 32, loader->rsdp);
	field_put_64(info + 40, LOADER_INFO + RANGES_AT);
	field_put_32(info + 48, loader->range_count);
	put_memory_map(info + RANGES_AT, loader);
	return loader_write(loader, LOADER_INFO, info, sizeof(info));
}

enum status pvh_load(struct loader *loader, const struct elf_image *elf, u64 entry)
{
	enum status status = elf_load(loader, elf);
	u64 physical;

	if (status != STATUS_OK)
		return status;
	if (!elf_find_physical(elf, entry, &physical) || physical != entry)
		return error_set(loader->error, STATUS_INVALID,
			"kernel: the ELF's PVH entry 0x%lx lies in no segment", entry);
	status = loader_place_initrd(loader, (u64)1 << 32);
	if (status == STATUS_OK)
		status = loader_write_command_line(loader, "", LOADER_COMMAND_LINE_BYTES);
	if (status == STATUS_OK)
		status = write_start_info(loader);
	loader->entry->rbx = LOADER_INFO;
	return status == STATUS_OK ? loader_enter(loader, BOOT_PROTECTED_32, entry) : status;
}
