/* SPDX-License-Identifier: MIT */
/*
 * PAE paging: three levels, the first held in four registers that a load of CR3 fills (AMD64 volume
 * 2, 5.2.3).
 */
#define ENTRY u64
#include "paging.h"

static u64 pdpt[4] __attribute__((aligned(32)));
static u64 directories[4][512] __attribute__((aligned(4096)));

void guest_main(void)
{
	u64 *pt = page_alloc(), *low[2] = {page_alloc(), page_alloc()};
	u8 *page = page_alloc(), *next = page_alloc(), *other = page_alloc();

	for (u32 i = 0; i < 2048; i++)
		directories[i >> 9][i & 511] = (u64)i << 21 | PS | P | W;
	for (u32 i = 0; i < 1024; i++)
		low[i >> 9][i & 511] = i << 12 | P | W |
			(i << 12 >= (u32)user_start && i << 12 < (u32)user_end ? U : 0);
	directories[0][0] = (u32)low[0] | P | W | U;
	directories[0][1] = (u32)low[1] | P | W | U;
	for (int i = 0; i < 4; i++)
		pdpt[i] = (u32)directories[i] | P;
	page[0] = next[0] = other[0] = 0xc3;
	walk.va = 0x40000000;
	directories[1][0] = (u32)pt | P | W | U;
	pt[0] = (u32)page | P | W | U;
	pt[1] = (u32)next | P | W | U;
	walk.levels = 3;
	walk.fixed = 1;
	walk.entry[0] = &pdpt[1];
	walk.entry[1] = &directories[1][0];
	walk.entry[2] = &pt[0];
	walk.name[0] = "pdpte";
	walk.name[1] = "pde";
	walk.name[2] = "pte";
	cr4_set(cr4_get() | CR4_PAE);
	cr3_set((word)pdpt);
	cr0_set(cr0_get() | CR0_PG);
	for (int i = 1; i < 3; i++)
		test_reserved(i, 63);
	msr_set(MSR_EFER, msr_get(MSR_EFER) | EFER_NXE);
	for (int i = 1; i < 3; i++) {
		test_reserved(i, 51);
		test_reserved(i, 9);
	}
	test_all(1, &pt[1], (word)other);

	print("page: 2 MiB\n");
	directories[1][1] = 0x1000000 | PS | P | W | U;
	*(u8 *)0x1000000 = 0xc3;
	walk.va = 0x40200000;
	walk.levels = 2;
	walk.entry[1] = &directories[1][1];
	walk.name[1] = "pde (2 MiB)";
	cr0_set(cr0_get() | CR0_WP);
	test_last_level(1);
	test_accessed_dirty();
	test_reserved(1, 13);
	test_reserved(1, 20);

	/* the first-level entries are checked when CR3 is loaded, not when they are used */
	for (int bit = 1; bit < 9; bit++) {
		if (bit == 3 || bit == 4)
			continue; /* PWT, PCD */
		pdpt[3] = (u32)directories[3] | P | 1u << bit;
		print("pdpte bit %d", bit);
		SHOW("", "mov %0, %%cr3", "r"((word)pdpt));
	}
	pdpt[3] = 0;
	cr3_set((word)pdpt);
	TRY(touch_read(0xc0000000));
	report("absent pdpte");
	pdpt[3] = (u32)directories[3] | P;
	cr3_set((word)pdpt);
}
