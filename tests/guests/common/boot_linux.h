/* SPDX-License-Identifier: MIT */
/* Linux's boot protocol at its 32-bit and 64-bit entries: Documentation/x86/boot.rst and zero-page.rst. */
#include "boot.h"

void guest_main(void)
{
	const u8 *params = (void *)(word)boot_state.esi;
	const u8 *entry = params + 0x2d0;

	show_state();
	value("cr4: PAE", boot_state.cr4 & CR4_PAE);
	value("cs", boot_state.cs);
	print("ds %x, es %x, ss %x\n", (word)boot_state.ds, (word)boot_state.es,
		(word)boot_state.ss);
#ifndef __x86_64__
	value("ebx", boot_state.ebx); /* with ebp and edi: 0, as the protocol says */
#endif
	value("boot flag", *(u16 *)(params + 0x1fe));
	value("header's magic", *(u32 *)(params + 0x202));
	check("version 2.12 or later", *(u16 *)(params + 0x206) >= 0x20c);
	check("a loader of some type", params[0x210] != 0);
	value("loaded high", params[0x211] & 1);
	for (unsigned i = 0; i < params[0x1e8]; i++, entry += 20)
		range_add(*(u64 *)entry, *(u64 *)(entry + 8), *(u32 *)(entry + 16));
	show_memory_map();
	check("command line", is_text((void *)(word) * (u32 *)(params + 0x228), COMMAND_LINE));
	show_module(*(u32 *)(params + 0x218), *(u32 *)(params + 0x21c));
	show_rsdp((word) * (u64 *)(params + 0x70));
	value("setup data", (word) * (u64 *)(params + 0x250));
	check("parameters lie in RAM", is_ram((word)params, 4096));
}
