/* SPDX-License-Identifier: MIT */
/* Multiboot 0.6.96 and Multiboot2 2.0, as their specifications have them. */
#include "base/bits.h"
#include "base/memory.h"
#include "hosts/metal/boot/boot_info.h"

/* ---- multiboot 1 ---- */

enum multiboot_flag { HAS_COMMAND_LINE = 1 << 2, HAS_MODULES = 1 << 3, HAS_MEMORY_MAP = 1 << 6 };

struct multiboot_info {
	u32 flags, memory_lower, memory_upper, boot_device;
	u32 command_line, module_count, modules, symbols[4];
	u32 memory_map_bytes, memory_map;
};

struct multiboot_module {
	u32 start, end, command_line, reserved;
};

/* `size` does not count itself. */
struct multiboot_range {
	u32 size;
	u64 start, bytes;
	u32 type;
} __attribute__((packed));

void boot_info_read_multiboot(struct boot_info *info, u64 address)
{
	const struct multiboot_info *from = (const void *)address;
	const struct multiboot_module *module = (const void *)(u64)from->modules;

	for (u32 at = 0; (from->flags & HAS_MEMORY_MAP) && at < from->memory_map_bytes;) {
		const struct multiboot_range *range = (const void *)(u64)(from->memory_map + at);
		boot_info_add_range(info, range->start, range->bytes, range->type);
		at += range->size + 4;
	}
	if ((from->flags & HAS_MODULES) && from->module_count) {
		info->module_start = module->start;
		info->module_bytes = module->end - module->start;
	}
	if (from->flags & HAS_COMMAND_LINE)
		boot_info_set_command_line(info, (const char *)(u64)from->command_line);
}

/* ---- multiboot 2 ---- */

enum tag_type {
	TAG_END = 0,
	TAG_COMMAND_LINE = 1,
	TAG_MODULE = 3,
	TAG_MEMORY_MAP = 6,
	TAG_RSDP_1 = 14,
	TAG_RSDP_2 = 15
};

struct tag {
	u32 type, bytes;
};

struct tag_module {
	struct tag tag;
	u32 start, end;
	char command_line[];
};

struct tag_memory_map {
	struct tag tag;
	u32 entry_bytes, version;
	u8 entries[];
};

struct tag_range {
	u64 start, bytes;
	u32 type, reserved;
};

static void read_memory_map(struct boot_info *info, const struct tag_memory_map *map)
{
	if (map->entry_bytes < sizeof(struct tag_range))
		return;
	for (u32 at = sizeof(*map); at + map->entry_bytes <= map->tag.bytes;
		at += map->entry_bytes) {
		const struct tag_range *range = (const void *)((const u8 *)map + at);
		boot_info_add_range(info, range->start, range->bytes, range->type);
	}
}

static void read_tag(struct boot_info *info, const struct tag *tag)
{
	const struct tag_module *module = (const void *)tag;

	switch (tag->type) {
	case TAG_COMMAND_LINE:
		boot_info_set_command_line(info, (const char *)(tag + 1));
		break;
	case TAG_MODULE:
		if (info->module_bytes) /* the first one is the bundle */
			break;
		info->module_start = module->start;
		info->module_bytes = module->end - module->start;
		break;
	case TAG_MEMORY_MAP:
		read_memory_map(info, (const void *)tag);
		break;
	case TAG_RSDP_1:
	case TAG_RSDP_2: /* has the XSDT: it counts, in whatever order they come */
		if (tag->type == TAG_RSDP_1 && info->rsdp)
			break;
		memcpy(info->rsdp_copy, tag + 1,
			MIN(tag->bytes - sizeof(*tag), sizeof(info->rsdp_copy)));
		info->rsdp = (u64)info->rsdp_copy;
		break;
	}
}

void boot_info_read_multiboot2(struct boot_info *info, u64 address)
{
	u32 total = *(const u32 *)address;

	for (u32 at = 8; at + sizeof(struct tag) <= total;) {
		const struct tag *tag = (const void *)(address + at);
		if (tag->type == TAG_END || tag->bytes < sizeof(*tag))
			return;
		read_tag(info, tag);
		at += (u32)align_up(tag->bytes, 8);
	}
}
