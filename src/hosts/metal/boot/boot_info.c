/* SPDX-License-Identifier: MIT */
#include "hosts/metal/boot/boot_info.h"
#include "base/memory.h"
#include "base/text.h"

void boot_info_add_range(struct boot_info *info, u64 start, u64 bytes, u32 type)
{
	if (!bytes || info->range_count == BOOT_RANGES_MAX || start + bytes < start)
		return;
	info->ranges[info->range_count++] = (struct boot_range){start, bytes, type};
}

void boot_info_set_command_line(struct boot_info *info, const char *from)
{
	struct text text;
	text_init(&text, info->command_line, sizeof(info->command_line));
	text_append(&text, from);
}

bool boot_info_option(const struct boot_info *info, const char *name, char *value, size_t capacity)
{
	size_t bytes = text_length(name);
	struct text text;
	for (const char *at = info->command_line; *at; at++) {
		bool begins = at == info->command_line || at[-1] == ' ';
		if (!begins || !text_starts_with(at, name) || at[bytes] != '=')
			continue;
		text_init(&text, value, capacity);
		for (at += bytes + 1; *at && *at != ' '; at++)
			text_append_char(&text, *at);
		return true;
	}
	return false;
}

enum status boot_info_read(struct boot_info *info, u32 magic, u64 address)
{
	static const struct {
		u32 magic;
		const char *name;
		void (*read)(struct boot_info *info, u64 address);
	} protocols[] = {
		{BOOT_MAGIC_PVH, "PVH", boot_info_read_pvh},
		{BOOT_MAGIC_MULTIBOOT, "multiboot", boot_info_read_multiboot},
		{BOOT_MAGIC_MULTIBOOT2, "multiboot 2", boot_info_read_multiboot2},
	};
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		if (magic != protocols[i].magic)
			continue;
		memset(info, 0, sizeof(*info));
		info->protocol = protocols[i].name;
		protocols[i].read(info, address);
		return STATUS_OK;
	}
	return STATUS_UNSUPPORTED;
}
