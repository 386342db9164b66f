/* SPDX-License-Identifier: MIT */
/* SMEP and SMAP: what CPL 0 may do with pages of CPL 3 (AMD64 volume 2, 5.6.5 and 5.6.6). */
#define ENTRY u64
#include "paging.h"

static u8 *va;

/*
 * Reads of descriptor tables are the system's own, whatever EFLAGS.AC is: not allowed in a user
 * page.
 */
static void implicit_table_read(void)
{
	u64 *ldt = (u64 *)(va + 0x100);

	*ldt = descriptor(0, 0xfffff, ACCESS_DATA0, FLAGS_32);
	gdt[GDT_FREE / 8] = descriptor((u32)(word)ldt, 7, 0x82, 0);
	gdt[GDT_FREE / 8 + 1] = (word)ldt >> 32;
	__asm__ volatile("lldt %w0" ::"r"(GDT_FREE));
	cr4_set(cr4_get() | CR4_SMAP);
	TRY(__asm__ volatile("stac\n" CODE("mov %0, %%fs")::"r"(4)));
	cr4_set(cr4_get() & ~CR4_SMAP);
	report("descriptor in a user page under SMAP, AC 1");
}

void guest_main(void)
{
	u64 *pd = page_alloc(), *pt = page_alloc();
	u8 *page = page_alloc();

	msr_set(MSR_EFER, msr_get(MSR_EFER) | EFER_NXE);
	page[0] = 0xc3;
	walk.va = 0x7fff00000000;
	va = (u8 *)walk.va;
	pml4[walk.va >> 39 & 511] = (u64)page_alloc() | P | W | U;
	u64 *pdpt = (u64 *)(pml4[walk.va >> 39 & 511] & ~0xffful);
	pdpt[walk.va >> 30 & 511] = (u64)pd | P | W | U;
	pd[0] = (u64)pt | P | W | U;
	pt[0] = (u64)page | P | W | U;
	walk.levels = 4;
	walk.entry[0] = &pml4[walk.va >> 39 & 511];
	walk.entry[1] = &pdpt[walk.va >> 30 & 511];
	walk.entry[2] = &pd[0];
	walk.entry[3] = &pt[0];
	walk.name[0] = "pml4e";
	walk.name[1] = "pdpte";
	walk.name[2] = "pde";
	walk.name[3] = "pte";
	if (!HAS_SMEP || !HAS_SMAP)
		skip("no SMEP or no SMAP");
	SHOW("stac", "stac");
	for (int wp = 0; wp < 2; wp++) {
		cr0_set((cr0_get() & ~CR0_WP) | (wp ? CR0_WP : 0));
		print("CR0.WP: %d\n", wp);
		print("SMEP: on\n");
		cr4_set(cr4_get() | CR4_SMEP);
		test_last_level(1);
		test_each_level(1);
		cr4_set((cr4_get() & ~CR4_SMEP) | CR4_SMAP);
		print("SMAP: on, AC 0\n");
		test_last_level(1);
		test_each_level(1);
		cr4_set(cr4_get() & ~CR4_SMAP);
	}
	/* AC 1 opens explicit accesses; CPL 3 is not concerned */
	cr4_set(cr4_get() | CR4_SMAP);
	walk_flush();
	TRY(({
		__asm__ volatile("stac");
		touch_read(walk.va);
		touch_write(walk.va + 0x800);
	}));
	report("read and write with AC 1");
	TRY(touch_read(walk.va));
	report("read with AC 0 again");
	TRY(({
		__asm__ volatile("stac");
		touch_read(walk.va);
		__asm__ volatile("clac");
		touch_read(walk.va);
	}));
	report("clac closes at once, also what the TLB holds");
	/* popf sets AC, too */
	TRY(({
		flags_set(FLAG_AC | 2);
		touch_read(walk.va);
	}));
	report("AC by popf");
	cr4_set(cr4_get() & ~CR4_SMAP);
	TRY_USER(user_read8, walk.va, 0);
	report("CPL 3 reads");
	implicit_table_read();
	SHOW("clac at CPL 0", "clac");
}
