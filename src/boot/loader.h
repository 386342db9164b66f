/* SPDX-License-Identifier: MIT */
/* What the loaders of src/boot share: one loading under way, and where its pieces lie. */
#ifndef BOOT_LOADER_H
#define BOOT_LOADER_H

#include "base/status.h"
#include "base/types.h"
#include "boot/boot.h"

/*
 * The first MiB. What a loader writes for the guest lies below 640 KiB, the ACPI tables in the BIOS area; kernels from 1 MiB on.
 */
enum loader_layout {
	LOADER_BIOS_DATA = 0x400,
	LOADER_GDT = 0x6000,
	LOADER_INFO = 0x7000, /* boot_params, hvm_start_info or multiboot's information: one page */
	LOADER_PAGE_TABLES = 0x9000, /* six pages */
	LOADER_COMMAND_LINE = 0x20000,
	LOADER_COMMAND_LINE_BYTES = 0x10000,
	LOADER_LOW_END = 0x9fc00, /* RAM from 0 to here */
	LOADER_BIOS_START = 0xa0000,
	LOADER_HIGH = 0x100000,
};

/* E820 types; PVH and multiboot have the same. */
enum memory_range_type { RANGE_RAM = 1, RANGE_RESERVED = 2 };

struct memory_range {
	u64 start, bytes;
	u32 type;
};

#define MEMORY_RANGES_MAX 8

struct loader {
	struct machine *machine;
	const struct boot_images *images;
	struct boot_entry *entry;
	struct error *error;
	u64 low_bytes;		      /* RAM below the hole */
	u64 kernel_start, kernel_end; /* what the kernel occupies, room that it asks for included */
	u64 initrd;		      /* where it lies, once placed */
	u64 rsdp;
	struct memory_range ranges[MEMORY_RANGES_MAX];
	unsigned range_count;
};

/* Little-endian fields of files and of structures for the guest, at any alignment. */
u16 field_get_16(const u8 *at);
u32 field_get_32(const u8 *at);
u64 field_get_64(const u8 *at);
void field_put_16(u8 *at, u16 value);
void field_put_32(u8 *at, u32 value);
void field_put_64(u8 *at, u64 value);

/* [at, at + bytes) lies within a file of `size` bytes. */
static inline bool file_has(u64 size, u64 at, u64 bytes)
{
	return at <= size && bytes <= size - at;
}

/* Copies to RAM, or clears it; STATUS_TOO_BIG with a line about the kernel where it is not all RAM. */
enum status loader_write(struct loader *loader, u64 gpa, const void *from, u64 bytes) must_use;
enum status loader_clear(struct loader *loader, u64 gpa, u64 bytes) must_use;

/* STATUS_TOO_BIG with a line for people unless [start, start + bytes) is RAM from 1 MiB on, below the hole. */
enum status loader_check_range(struct loader *loader, u64 start, u64 bytes) must_use;

/* Copies the command line to `gpa`; at most `limit` bytes without the terminator. `prefix` goes before it. */
enum status loader_write_command_line(
	struct loader *loader, const char *prefix, u64 limit) must_use;

/* Puts the initrd, if any, as high as it can be below `below`, not over the kernel, and sets loader->initrd. */
enum status loader_place_initrd(struct loader *loader, u64 below) must_use;

/* The descriptor table for the entry's mode, and for BOOT_LONG_64 the page tables; fills entry's part. */
enum status loader_enter(struct loader *loader, enum boot_mode mode, u64 rip) must_use;

struct elf_image;

/* The protocols. Each loads the kernel, the initrd and the rest, and fills loader->entry. */
enum status linux_load(struct loader *loader) must_use; /* a bzImage */
enum status linux_load_elf(struct loader *loader, const struct elf_image *elf) must_use;
enum status pvh_load(struct loader *loader, const struct elf_image *elf, u64 entry) must_use;
enum status multiboot_load(
	struct loader *loader, const struct elf_image *elf) must_use; /* elf may be NULL */

bool linux_is_image(const struct boot_images *images);
bool multiboot_is_image(const struct boot_images *images);
/* The entry that the note names; false: there is none. */
bool pvh_find_entry(const struct elf_image *elf, u64 *entry);

#endif
