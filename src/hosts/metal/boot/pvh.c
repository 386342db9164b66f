/* SPDX-License-Identifier: MIT */
/* The PVH boot protocol, as Xen's public/arch-x86/hvm/start_info.h describes it. */
#include "hosts/metal/boot/boot_info.h"

struct hvm_start_info {
	u32 magic, version, flags, module_count;
	u64 modules, command_line, rsdp;
	/* Version 1 */
	u64 memory_map;
	u32 memory_map_count, reserved;
};

struct hvm_module {
	u64 start, bytes, command_line, reserved;
};

struct hvm_memory_range {
	u64 start, bytes;
	u32 type, reserved;
};

void boot_info_read_pvh(struct boot_info *info, u64 address)
{
	const struct hvm_start_info *start = (const void *)address;
	const struct hvm_module *module = (const void *)start->modules;
	const struct hvm_memory_range *range = (const void *)start->memory_map;

	for (u32 i = 0; start->version >= 1 && range && i < start->memory_map_count; i++)
		boot_info_add_range(info, range[i].start, range[i].bytes, range[i].type);
	if (start->module_count && module) {
		info->module_start = module->start;
		info->module_bytes = module->bytes;
	}
	if (start->command_line)
		boot_info_set_command_line(info, (const char *)start->command_line);
	info->rsdp = start->rsdp;
}
