/* SPDX-License-Identifier: MIT */
/* PVH: xen/include/public/arch-x86/hvm/start_info.h, version 1. */
#include "boot.h"

struct start_info {
	u32 magic, version, flags, module_count;
	u64 modules, command_line, rsdp, map;
	u32 map_count, reserved;
};
struct module {
	u64 start, bytes, command_line, reserved;
};
struct entry {
	u64 start, bytes;
	u32 type, reserved;
};

void guest_main(void)
{
	const struct start_info *info = (void *)boot_state.ebx;
	const struct module *modules = (void *)(u32)info->modules;
	const struct entry *map = (void *)(u32)info->map;
	u32 reserved = info->reserved;

	show_state();
	value("cr4", boot_state.cr4);
	value("magic", info->magic);
	value("version", info->version);
	value("flags", info->flags);
	for (u32 i = 0; i < info->map_count; i++) {
		range_add(map[i].start, map[i].bytes, map[i].type);
		reserved |= map[i].reserved;
	}
	show_memory_map();
	value("reserved fields", reserved);
	check("command line", is_text((void *)(u32)info->command_line, COMMAND_LINE));
	value("modules", info->module_count);
	show_module((word)modules[0].start, (word)modules[0].bytes);
	show_rsdp((word)info->rsdp);
	check("all of it lies below 4 GiB",
		!((info->modules | info->command_line | info->rsdp | info->map | modules->start) >>
			32));
}
