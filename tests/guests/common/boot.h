/* SPDX-License-Identifier: MIT */
/*
 * What a loader hands over, told by facts that hold under any loader: the processor's state, the memory map, the module
 * and the command line that `run` gives to every boot-* guest.
 */
#include "guest.h"

struct boot_state {
	u32 eax, ebx, esi, cr0, cr4, flags, cs, ds, es, ss;
};
extern struct boot_state boot_state;
extern u8 start[];

/* As in tests/guests/run. */
#define COMMAND_LINE "one two=3 \"four five\""
#define MODULE_BYTES 5000

struct memory_range {
	u64 start, bytes;
	u32 type;
};

static struct memory_range ranges[64];
static unsigned range_count;

static void range_add(u64 from, u64 bytes, u32 type)
{
	if (range_count < sizeof(ranges) / sizeof(ranges[0]))
		ranges[range_count++] = (struct memory_range){from, bytes, type};
}

/* All of it in one range of RAM. */
static int is_ram(u64 from, u64 bytes)
{
	for (unsigned i = 0; i < range_count; i++)
		if (ranges[i].type == 1 && from >= ranges[i].start &&
			from + bytes <= ranges[i].start + ranges[i].bytes)
			return 1;
	return 0;
}

static u64 ram_bytes(u64 from, u64 to)
{
	u64 sum = 0;

	for (unsigned i = 0; i < range_count; i++)
		if (ranges[i].type == 1 && ranges[i].start >= from && ranges[i].start < to)
			sum += ranges[i].bytes;
	return sum;
}

static void show_state(void)
{
	value("cr0: PE, PG", boot_state.cr0 & 0x80000001);
	value("flags: TF, IF, VM", boot_state.flags & 0x20300);
}

static void show_memory_map(void)
{
	int apart = 1, ascending = 1;

	for (unsigned i = 0; i < range_count; i++) {
		for (unsigned j = 0; j < i; j++)
			apart &= ranges[i].start >= ranges[j].start + ranges[j].bytes ||
				ranges[j].start >= ranges[i].start + ranges[i].bytes;
		ascending &= !i || ranges[i].start > ranges[i - 1].start;
	}
	check("memory map: has ranges", range_count >= 2);
	check("memory map: they lie apart", apart);
	check("memory map: they ascend", ascending);
	print("RAM below 1 MiB: %d KiB\n", (int)(ram_bytes(0, 0x100000) >> 10));
	check("RAM from 1 MiB to 60 MiB", is_ram(0x100000, 59 << 20));
	check("no RAM past 64 MiB", !ram_bytes(0x4000000, ~0ull));
	check("no RAM at the BIOS", !is_ram(0xf0000, 1));
	check("this program is in RAM", is_ram((word)start, (word)user_end - (word)start));
}

static void show_module(word from, word bytes)
{
	int same = 1;

	print("module: %d bytes\n", (int)bytes);
	if (bytes != MODULE_BYTES)
		return;
	for (word i = 0; i < bytes; i++)
		same &= ((u8 *)from)[i] == (u8)(i * 7 + 3);
	check("its bytes", same);
	value("its place in the page", from & 0xfff);
	check("it is in RAM", is_ram(from, bytes));
	check("it lies beside this program", from >= (word)user_end || from + bytes <= 0x100000);
}

static int is_text(const char *at, const char *want)
{
	while (*want && *at == *want)
		at++, want++;
	return *at == *want;
}

/* ACPI 6.4, 5.2.5.3. */
static inline void show_rsdp(word at)
{
	const u8 *p = (const u8 *)at;
	u8 sum = 0;

	check("RSDP is given", at != 0);
	if (!at)
		return;
	for (int i = 0; i < 20; i++)
		sum = (u8)(sum + p[i]);
	check("its signature and checksum", !sum && p[0] == 'R' && p[4] == 'P' && p[7] == ' ');
}
