/* SPDX-License-Identifier: MIT */
/* Into long mode and out of it, and the orders that are refused (AMD64 volume 2, 14.6 and 14.7). */
#include "guest.h"

static u64 top[512] __attribute__((aligned(4096)));
static u64 pdpt[512] __attribute__((aligned(4096)));
static u64 pae_pdpt[4] __attribute__((aligned(32)));
static u64 pds[4][512] __attribute__((aligned(4096)));
volatile u64 seen[8];

void long_mode_visit(u32 cr3);
/* clang-format off */
__asm__("long_mode_visit: push %ebx; push %esi; push %edi; push %ebp; mov 20(%esp), %eax; mov %eax, %cr3\n"
	" mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0\n"
	/* compatibility mode now */
	" mov $0xc0000080, %ecx; rdmsr; mov %eax, seen; mov %cs, %eax; mov %eax, seen + 8\n"
	" ljmp $0x28, $1f\n"
	".code64\n"
	"1: mov $0x1122334455667788, %rax; mov $seen + 16, %ebx; mov %rax, (%rbx); mov $-1, %r15\n"
	" mov $long_mode_back, %ebx; ljmp *(%rbx)\n"
	".code32\n"
	"2: mov $0x10, %eax; mov %eax, %ss\n"
	" mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0\n"
	" mov $0xc0000080, %ecx; rdmsr; mov %eax, seen + 24\n"
	" and $~0x100, %eax; wrmsr; mov %eax, seen + 32\n"
	" pop %ebp; pop %edi; pop %esi; pop %ebx; ret\n"
	".pushsection .data\n long_mode_back: .long 2b; .word 8\n .popsection");
/* clang-format on */

void guest_main(void)
{
	word cr0 = cr0_get();

	for (u32 i = 0; i < 2048; i++)
		pds[i >> 9][i & 511] = (u64)i << 21 | 0x83;
	for (u32 i = 0; i < 4; i++) {
		pae_pdpt[i] = (u32)pds[i] | 1;
		pdpt[i] = (u32)pds[i] | 3;
	}
	top[0] = (u32)pdpt | 3;
	gdt[USER_CS64 / 8] = 0x00af9b000000ffff; /* 64-bit code for CPL 0, here */

	value("efer at first", (word)(msr_get(MSR_EFER) & 0xd00));
	/* LME without PAE: refused when paging is turned on */
	cr4_set(cr4_get() & ~CR4_PAE);
	msr_set(MSR_EFER, EFER_LME);
	value("LME alone is not LMA", (word)(msr_get(MSR_EFER) & 0xd00));
	cr3_set((u32)top);
	SHOW("PG with LME and without PAE", "mov %0, %%cr0", "r"(cr0 | CR0_PG));
	cr0_set(cr0);
	cr4_set(cr4_get() | CR4_PAE);
	/* CS.L set while long mode is turned on: refused; cannot be tried from 32-bit code */
	long_mode_visit((u32)top);
	value("efer in compatibility mode", (word)seen[0] & 0xd00);
	value("cs there", (word)seen[1] & 0xffff);
	check("64-bit code ran", seen[2] == 0x1122334455667788);
	value("efer after PG was cleared", (word)seen[3] & 0xd00);
	value("efer after LME was cleared", (word)msr_get(MSR_EFER) & 0xd00);
	/* paging on in PAE's form, LME cannot be changed */
	cr3_set((u32)pae_pdpt);
	cr0_set(cr0 | CR0_PG);
	TRY(__asm__ volatile(CODE("wrmsr")::"c"(MSR_EFER), "a"(EFER_LME), "d"(0)));
	report("LME while paging");
	cr0_set(cr0);
	msr_set(MSR_EFER, 0);
	/* again, to see that nothing is left behind */
	msr_set(MSR_EFER, EFER_LME);
	long_mode_visit((u32)top);
	value("second visit: efer", (word)seen[0] & 0xd00);
	value("efer at the end", (word)msr_get(MSR_EFER) & 0xd00);
	/* general registers keep their low halves, control goes on as before */
	SHOW("an exception afterwards", "ud2");
}
