/* SPDX-License-Identifier: MIT */
/*
 * What the boot loader said, in one form whatever its protocol: where memory is, the bundle, the command line, the ACPI tables.
 */
#ifndef HOSTS_METAL_BOOT_BOOT_INFO_H
#define HOSTS_METAL_BOOT_BOOT_INFO_H

#include "base/status.h"
#include "base/types.h"

/* What a loader puts into EAX, or entry.S for it. */
#define BOOT_MAGIC_PVH \
	0x336ec578 /* hvm_start_info's own magic word: a loader gives none in a register */
#define BOOT_MAGIC_MULTIBOOT 0x2badb002
#define BOOT_MAGIC_MULTIBOOT2 0x36d76289

/* E820's types; the protocols have the same. */
enum boot_range_type { BOOT_RAM = 1, BOOT_RESERVED = 2, BOOT_ACPI = 3, BOOT_NVS = 4 };

struct boot_range {
	u64 start, bytes;
	u32 type; /* enum boot_range_type, or one of the loader's own: not to be used */
};

#define BOOT_RANGES_MAX 128
#define BOOT_RSDP_BYTES 36

struct boot_info {
	const char *protocol;
	struct boot_range ranges[BOOT_RANGES_MAX];
	unsigned range_count;
	u64 module_start, module_bytes; /* the bundle; 0 bytes: there is none */
	char command_line[256];
	u64 rsdp; /* 0: it is to be looked for */
	u8 rsdp_copy[BOOT_RSDP_BYTES]
		__attribute__((aligned(8))); /* where a loader gives no address, but a copy */
};

/* Copies what is at `address` (identity mapped below 4 GiB). STATUS_UNSUPPORTED: no protocol of ours. */
enum status boot_info_read(struct boot_info *info, u32 magic, u64 address) must_use;
void boot_info_add_range(struct boot_info *info, u64 start, u64 bytes, u32 type);
void boot_info_set_command_line(struct boot_info *info, const char *text);

/* The word `name=value` of the command line; false: there is none. The value is cut to fit. */
bool boot_info_option(
	const struct boot_info *info, const char *name, char *value, size_t capacity) must_use;

/* The protocols. */
void boot_info_read_pvh(struct boot_info *info, u64 address);
void boot_info_read_multiboot(struct boot_info *info, u64 address);
void boot_info_read_multiboot2(struct boot_info *info, u64 address);

#endif
