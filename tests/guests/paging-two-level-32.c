/* SPDX-License-Identifier: MIT */
/* Two-level paging with 4 KiB and 4 MiB pages. */
#define ENTRY u32
#include "paging.h"

static u32 directory[1024] __attribute__((aligned(4096)));

void guest_main(void)
{
	u32 *pt = page_alloc(), *low = page_alloc();
	u8 *page = page_alloc(), *next = page_alloc(), *other = page_alloc();

	/*
	 * the first 4 MiB in 4 KiB pages, so that only what is for CPL 3 is CPL 3's; the rest in
	 * large ones
	 */
	for (u32 i = 0; i < 1024; i++) {
		low[i] = i << 12 | P | W |
			(i << 12 >= (u32)user_start && i << 12 < (u32)user_end ? U : 0);
		directory[i] = i << 22 | PS | P | W;
	}
	directory[0] = (u32)low | P | W | U;
	page[0] = next[0] = other[0] = 0xc3;
	walk.va = 0x40000000;
	directory[256] = (u32)pt | P | W | U;
	pt[0] = (u32)page | P | W | U;
	pt[1] = (u32)next | P | W | U;
	walk.levels = 2;
	walk.entry[0] = &directory[256];
	walk.entry[1] = &pt[0];
	walk.name[0] = "pde";
	walk.name[1] = "pte";
	cr4_set(cr4_get() | CR4_PSE);
	cr3_set((word)directory);
	cr0_set(cr0_get() | CR0_PG);
	test_all(0, &pt[1], (word)other);

	print("page: 4 MiB\n");
	directory[257] = 0x1000000 | PS | P | W | U;
	*(u8 *)0x1000000 = 0xc3;
	walk.va = 0x40400000;
	walk.levels = 1;
	walk.entry[0] = &directory[257];
	walk.name[0] = "pde (4 MiB)";
	cr0_set(cr0_get() | CR0_WP);
	test_last_level(0);
	test_accessed_dirty();
	test_reserved(0, 21);
	test_reserved(0, 12); /* PAT */
	*(u32 *)0x13ffffc = 0xfeedface;
	value("last word of the 4 MiB page", *(volatile u32 *)(walk.va + 0x3ffffc));

	/* without CR4.PSE, bit 7 of a PDE means nothing: the same bits are a page table */
	u32 *table = (u32 *)0x1000000;
	fill(table, 0, 4096);
	table[0] = (u32)other | P | W | U;
	*(u32 *)(other + 8) = 0x0badcafe;
	/*
	 * the program's own large pages would change their meaning, too: only the first 4 MiB are
	 * used meanwhile
	 */
	directory[2] = (u32)page_alloc() | P | W;
	for (u32 i = 0; i < 1024; i++)
		((u32 *)(directory[2] & ~0xfffu))[i] = (0x800000 + (i << 12)) | P | W;
	cr3_set(cr3_get());
	cr4_set(cr4_get() & ~CR4_PSE);
	value("without CR4.PSE the entry is a table's", *(volatile u32 *)(walk.va + 8));
	cr4_set(cr4_get() | CR4_PSE);

	/* a directory that is also its own table: every table is seen in the last 4 MiB */
	directory[1023] = (u32)directory | P | W;
	cr3_set(cr3_get());
	value("self-map: the pte of 0x40000000",
		((volatile u32 *)0xffc00000)[0x40000000 >> 12] == pt[0]);
	value("self-map: the directory's own entry", ((volatile u32 *)0xfffff000)[1023] & 0xf);
	((volatile u32 *)0xffc00000)[0x40000000 >> 12] = 0;
	invlpg(0x40000000);
	TRY(touch_read(0x40000000));
	report("after clearing it through the self-map");
}
