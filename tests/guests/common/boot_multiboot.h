/* SPDX-License-Identifier: MIT */
/* Multiboot Specification 0.6.96, 3.2 and 3.3. */
#include "boot.h"

struct information {
	u32 flags, mem_lower, mem_upper, boot_device, command_line, module_count, modules, syms[4],
		map_bytes, map, drives_bytes, drives, config_table, loader_name;
};

void guest_main(void)
{
	const struct information *info = (void *)boot_state.ebx;
	const u32 *module = (void *)info->modules;

	value("eax", boot_state.eax);
	show_state();
	value("flags: memory, command line, modules, map, loader's name", info->flags & 0x24d);
	print("lower memory: %d KiB\n", (int)info->mem_lower);
	print("upper memory: at least 60 MiB %d, at most 63 %d\n", info->mem_upper >= 60 << 10,
		info->mem_upper <= 63 << 10);
	for (u32 at = info->map; at < info->map + info->map_bytes; at += 4 + *(u32 *)at)
		range_add(*(u64 *)(at + 4), *(u64 *)(at + 12), *(u32 *)(at + 20));
	show_memory_map();
	/* the kernel's own name comes first, whatever it is */
	const char *line = (void *)info->command_line;
	while (*line && *line != ' ')
		line++;
	check("command line", is_text(line, " " COMMAND_LINE));
	value("modules", info->module_count);
	show_module(module[0], module[1] - module[0]);
	value("module's reserved word", module[3]);
	check("loader's name", *(char *)info->loader_name != 0);
}
