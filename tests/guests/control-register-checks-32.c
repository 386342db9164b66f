/* SPDX-License-Identifier: MIT */
/* Control registers: what 32-bit mode refuses (AMD64 volume 2, 3.1; Intel volume 3, 2.5), and that nothing changes then. */
#include "guest.h"

static void cr0_try(const char *name, word v)
{
	word before = cr0_get(), after;

	TRY(__asm__ volatile(CODE("mov %0, %%cr0") "mov %1, %%cr0" ::"r"(v), "r"(before)
			     : "memory"));
	after = cr0_get();
	report(name);
	if (after != before)
		value("NOT THE SAME", after);
}

static void cr4_try(const char *name, word v)
{
	word before = cr4_get(), after;

	TRY(__asm__ volatile(CODE("mov %0, %%cr4") "mov %1, %%cr4" ::"r"(v), "r"(before)
			     : "memory"));
	after = cr4_get();
	report(name);
	if (after != before)
		value("NOT THE SAME", after);
}

void guest_main(void)
{
	word cr0 = cr0_get(), cr4 = cr4_get();

	cr0_try("PG without PE", (cr0 & ~CR0_PE) | CR0_PG);
	cr0_try("NW without CD", (cr0 & ~CR0_CD) | CR0_NW);
	cr0_try("NW and CD", cr0 | CR0_CD | CR0_NW);
	cr0_try("CD", cr0 | CR0_CD);
	cr0_try("reserved bits", cr0 | 0x1ffaffc0);
	cr0_set(cr0 | 0x1ffaffc0);
	value("reserved bits read as", cr0_get() & 0x1ffaffc0);
	cr0_set(cr0);
	cr4_try("PGE without paging", cr4 | CR4_PGE);
	cr4_try("PCIDE outside of long mode", cr4 | CR4_PCIDE);
	cr4_try("bit 15", cr4 | 0x8000);
	cr4_try("bit 31", cr4 | 0x80000000);
	/* ET cannot be changed: Intel volume 3, 2.5 */
	cr0_set(cr0 & ~0x10ul);
	value("ET stays", cr0_get() & 0x10);
	/* lmsw sets PE, MP, EM, TS and cannot clear PE */
	TRY(__asm__ volatile(CODE("lmsw %w0") "mov %1, %%cr0" ::"r"(0), "r"(cr0)));
	report("lmsw 0");
	__asm__ volatile("lmsw %w0" ::"r"(0xfff0));
	value("after lmsw 0xfff0: PE, MP, EM, TS", cr0_get() & 0xf);
	cr0_set(cr0);
	cr3_set(0x18);
	value("cr3: PWT, PCD", cr3_get());
	cr3_set(0);
}
