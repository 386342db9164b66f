/* SPDX-License-Identifier: MIT */
/* Multiboot Specification version 0.6.96: an ELF, or a flat image that says where it goes. */
#include "base/memory.h"
#include "base/text.h"
#include "boot/elf.h"
#include "boot/loader.h"

enum {
	SEARCH_BYTES = 8192,
	HEADER_BYTES = 12,
	HEADER_BYTES_WITH_ADDRESSES = 32,
	HEADER_ADDRESSES = 1 << 16,
	/* Required features that we have: aligned modules, memory information; video is "if possible". */
	HEADER_REQUIRED = 0xffff,
	HEADER_KNOWN = 0x7,

	INFO_MEMORY = 1 << 0,
	INFO_COMMAND_LINE = 1 << 2,
	INFO_MODULES = 1 << 3,
	INFO_MEMORY_MAP = 1 << 6,
	INFO_LOADER_NAME = 1 << 9,
	INFO_BYTES = 120,
	MODULE_AT = INFO_BYTES,
	MODULE_BYTES = 16,
	RANGES_AT = MODULE_AT + MODULE_BYTES,
	RANGE_BYTES = 24,
	NAME_AT = RANGES_AT + RANGE_BYTES * MEMORY_RANGES_MAX,
	NAME_BYTES = 8,
};

#define HEADER_MAGIC 0x1badb002
#define LOADER_MAGIC 0x2badb002

/* Of the image: offset of the header in the file; false: there is none. */
static bool find_header(const struct boot_images *images, u64 *at)
{
	u64 end = MIN(images->kernel_bytes, (u64)SEARCH_BYTES);

	for (u64 i = 0; i + HEADER_BYTES <= end; i += 4) {
		const u8 *header = images->kernel + i;

		if (field_get_32(header) == HEADER_MAGIC &&
			field_get_32(header) + field_get_32(header + 4) +
					field_get_32(header + 8) ==
				0) {
			*at = i;
			return true;
		}
	}
	return false;
}

bool multiboot_is_image(const struct boot_images *images)
{
	u64 at;

	return find_header(images, &at);
}

/* By the header's own addresses: header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr. */
static enum status load_flat(struct loader *loader, u64 at, u64 *entry)
{
	const struct boot_images *images = loader->images;
	const u8 *header = images->kernel + at;
	u64 header_address, start, load_end, bss_end, offset, bytes;
	enum status status;

	if (!file_has(images->kernel_bytes, at, HEADER_BYTES_WITH_ADDRESSES))
		return error_set(loader->error, STATUS_INVALID,
			"kernel: truncated within its multiboot header");
	header_address = field_get_32(header + 12);
	start = field_get_32(header + 16);
	load_end = field_get_32(header + 20);
	bss_end = field_get_32(header + 24);
	*entry = field_get_32(header + 28);
	if (header_address < start || header_address - start > at)
		return error_set(loader->error, STATUS_INVALID,
			"kernel: its multiboot addresses contradict the header's place");
	offset = at - (header_address - start);
	bytes = load_end ? load_end - start : images->kernel_bytes - offset;
	if ((load_end && load_end < start) || !file_has(images->kernel_bytes, offset, bytes))
		return error_set(loader->error, STATUS_INVALID,
			"kernel: truncated: its multiboot header wants more than the file has");
	bss_end = MAX(bss_end, start + bytes);
	if (*entry < start || *entry >= bss_end)
		return error_set(loader->error, STATUS_INVALID,
			"kernel: its multiboot entry 0x%lx lies outside of it", *entry);
	status = loader_check_range(loader, start, bss_end - start);
	if (status != STATUS_OK)
		return status;
	loader->kernel_start = start;
	loader->kernel_end = bss_end;
	status = loader_write(loader, start, images->kernel + offset, bytes);
	return status == STATUS_OK ? loader_clear(loader, start + bytes, bss_end - start - bytes)
				   : status;
}

static enum status load_kernel(
	struct loader *loader, const struct elf_image *elf, u64 at, u64 *entry)
{
	u32 flags = field_get_32(loader->images->kernel + at + 4);
	enum status status;

	if (flags & HEADER_REQUIRED & ~HEADER_KNOWN)
		return error_set(loader->error, STATUS_UNSUPPORTED,
			"kernel: its multiboot header requires unknown features (flags 0x%x)",
			flags);
	if (flags & HEADER_ADDRESSES)
		return load_flat(loader, at, entry);
	if (!elf)
		return error_set(loader->error, STATUS_INVALID,
			"kernel: its multiboot header gives no addresses, and it is no ELF");
	status = elf_load(loader, elf);
	if (status == STATUS_OK && !elf_find_physical(elf, elf->entry, entry))
		return error_set(loader->error, STATUS_INVALID,
			"kernel: the ELF's entry 0x%lx lies in no segment", elf->entry);
	return status;
}

/* An entry's size does not count itself. */
static void put_memory_map(u8 *at, const struct loader *loader)
{
	for (unsigned i = 0; i < loader->range_count; i++, at += RANGE_BYTES) {
		field_put_32(at, RANGE_BYTES - 4);
		field_put_64(at + 4, loader->ranges[i].start);
		field_put_64(at + 12, loader->ranges[i].bytes);
		field_put_32(at + 20, loader->ranges[i].type);
	}
}

static void put_module(u8 *info, const struct loader *loader)
{
	field_put_32(info + 20, 1);
	field_put_32(info + 24, LOADER_INFO + MODULE_AT);
	field_put_32(info + MODULE_AT, (u32)loader->initrd);
	field_put_32(info + MODULE_AT + 4, (u32)(loader->initrd + loader->images->initrd_bytes));
	/* Its string: the command line's terminator, as an empty one. */
	field_put_32(info + MODULE_AT + 8, LOADER_INFO + NAME_AT + NAME_BYTES - 1);
}

static enum status write_info(struct loader *loader)
{
	u8 info[NAME_AT + NAME_BYTES] = {0};
	u32 flags =
		INFO_MEMORY | INFO_COMMAND_LINE | INFO_MODULES | INFO_MEMORY_MAP | INFO_LOADER_NAME;

	field_put_32(info, flags);
	field_put_32(info + 4, LOADER_LOW_END / 1024);
	field_put_32(info + 8, (u32)((loader->low_bytes - LOADER_HIGH) / 1024));
	field_put_32(info + 16, LOADER_COMMAND_LINE);
	if (loader->initrd)
		put_module(info, loader);
	field_put_32(info + 44, loader->range_count * RANGE_BYTES);
	field_put_32(info + 48, LOADER_INFO + RANGES_AT);
	field_put_32(info + 64, LOADER_INFO + NAME_AT);
	put_memory_map(info + RANGES_AT, loader);
	memcpy(info + NAME_AT, "lodge", 6);
	return loader_write(loader, LOADER_INFO, info, sizeof(info));
}

enum status multiboot_load(struct loader *loader, const struct elf_image *elf)
{
	u64 at, entry;
	enum status status;

	if (!find_header(loader->images, &at))
		return error_set(loader->error, STATUS_INVALID, "kernel: no multiboot header");
	status = load_kernel(loader, elf, at, &entry);
	if (status == STATUS_OK)
		status = loader_place_initrd(loader, (u64)1 << 32);
	/* By custom the kernel's own name comes first. */
	if (status == STATUS_OK)
		status = loader_write_command_line(loader, "kernel ", LOADER_COMMAND_LINE_BYTES);
	if (status == STATUS_OK)
		status = write_info(loader);
	loader->entry->rax = LOADER_MAGIC;
	loader->entry->rbx = LOADER_INFO;
	return status == STATUS_OK ? loader_enter(loader, BOOT_PROTECTED_32, entry) : status;
}
