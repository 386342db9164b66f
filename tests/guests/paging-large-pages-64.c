/* SPDX-License-Identifier: MIT */
/*
 * 2 MiB and 1 GiB pages: rights, accessed and dirty bits, reserved address bits, and that the
 * offset is whole.
 */
#define ENTRY u64
#include "paging.h"

void guest_main(void)
{
	u64 *pdpt = page_alloc(), *pd = page_alloc();

	msr_set(MSR_EFER, msr_get(MSR_EFER) | EFER_NXE);
	/* 2 MiB: physical 0x1000000 */
	walk.va = 0x7fffc0000000 | 3ul << 21;
	pml4[walk.va >> 39 & 511] = (u64)pdpt | P | W | U;
	pdpt[walk.va >> 30 & 511] = (u64)pd | P | W | U;
	pd[3] = 0x1000000 | PS | P | W | U;
	*(u8 *)0x1000000 = 0xc3;
	walk.levels = 3;
	walk.entry[0] = &pml4[walk.va >> 39 & 511];
	walk.entry[1] = &pdpt[walk.va >> 30 & 511];
	walk.entry[2] = &pd[3];
	walk.name[0] = "pml4e";
	walk.name[1] = "pdpte";
	walk.name[2] = "pde (2 MiB)";
	print("page: 2 MiB\n");
	cr0_set(cr0_get() | CR0_WP);
	test_last_level(1);
	test_each_level(1);
	test_accessed_dirty();
	for (int bit = 12; bit <= 20; bit++)
		test_reserved(2, bit);
	test_reserved(2, 51);
	*(u32 *)0x11ffffc = 0xfeedface;
	value("last word of the 2 MiB page", *(volatile u32 *)(walk.va + 0x1ffffc));

	/* 1 GiB: physical 0 */
	print("page: 1 GiB\n");
	walk.va = 0x7fff80000000 | 0x1000000;
	pdpt[walk.va >> 30 & 511] = 0 | PS | P | W | U;
	walk.levels = 2;
	walk.entry[1] = &pdpt[walk.va >> 30 & 511];
	walk.name[1] = "pdpte (1 GiB)";
	test_last_level(1);
	test_each_level(1);
	test_accessed_dirty();
	for (int bit = 13; bit <= 29; bit += 4)
		test_reserved(1, bit);
	*(u32 *)0x1fffffc = 0xcafef00d;
	value("a word within the 1 GiB page", *(volatile u32 *)(walk.va + 0xfffffc));

	/* a page of another size in the same place, after a flush */
	u64 *pt = page_alloc();
	walk.va = 0x7fffc0000000 | 3ul << 21;
	*(u32 *)0x1000010 = 1;
	*(u32 *)0x1400010 = 2;
	pt[0] = 0x1400000 | P | W;
	value("through the 2 MiB page", *(volatile u32 *)(walk.va + 0x10));
	pd[3] = (u64)pt | P | W;
	invlpg(walk.va + 0x1000);
	walk_flush();
	value("through a 4 KiB page", *(volatile u32 *)(walk.va + 0x10));
}
