/* SPDX-License-Identifier: MIT */
/*
 * Four-level paging with 4 KiB pages: rights, error codes, accessed and dirty bits, reserved bits,
 * flushing.
 */
#define ENTRY u64
#include "paging.h"

void guest_main(void)
{
	u64 *pdpt = page_alloc(), *pd = page_alloc(), *pt = page_alloc();
	u8 *page = page_alloc(), *next = page_alloc(), *other = page_alloc();

	page[0] = next[0] = other[0] = 0xc3;
	walk.va = 0x123456789000 & ~0x1fffff;
	pml4[walk.va >> 39 & 511] = (u64)pdpt | P | W | U;
	pdpt[walk.va >> 30 & 511] = (u64)pd | P | W | U;
	pd[walk.va >> 21 & 511] = (u64)pt | P | W | U;
	pt[0] = (u64)page | P | W | U;
	pt[1] = (u64)next | P | W | U;
	walk.levels = 4;
	walk.entry[0] = &pml4[walk.va >> 39 & 511];
	walk.entry[1] = &pdpt[walk.va >> 30 & 511];
	walk.entry[2] = &pd[walk.va >> 21 & 511];
	walk.entry[3] = &pt[0];
	walk.name[0] = "pml4e";
	walk.name[1] = "pdpte";
	walk.name[2] = "pde";
	walk.name[3] = "pte";

	/* without EFER.NXE, bit 63 is reserved */
	for (int i = 0; i < 4; i++)
		test_reserved(i, 63);
	msr_set(MSR_EFER, msr_get(MSR_EFER) | EFER_NXE);
	for (int i = 0; i < 4; i++) {
		test_reserved(i, 51);
		test_reserved(i, 52); /* free for software */
		test_reserved(i, 9);
	}
	test_reserved(0, 7); /* PS has no meaning in a PML4E: reserved */
	test_all(1, &pt[1], (word)other);
}
