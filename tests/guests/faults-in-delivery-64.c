/* SPDX-License-Identifier: MIT */
/*
 * Faults met while an event is delivered: told instead of it, or as a double fault (AMD64 volume 2,
 * 8.2.9).
 */
#include "guest.h"

#define HOLE 0x500000000000ul /* nothing is mapped from here on */
#define AREA 0x400000000000ul
static u64 *table;

static void map(int index, void *page)
{
	table[index] = page ? (u64)page | 3 : 0;
	invlpg(AREA + (word)index * 4096);
}

void guest_main(void)
{
	u64 *pdpt = page_alloc(), *pd = page_alloc();
	u8 *first = page_alloc(), *second = page_alloc();
	static u8 df_stack[4096] __attribute__((aligned(16)));

	table = page_alloc();
	pml4[AREA >> 39 & 511] = (u64)pdpt | 3;
	pdpt[0] = (u64)pd | 3;
	pd[0] = (u64)table | 3;
	tss.ist[0] = (word)df_stack + sizeof(df_stack);
	idt[DF].flags |= 1;

	/* the stack cannot be written: page fault, then another while that is told */
	TRY(__asm__ volatile("mov %0, %%rsp\n" CODE("push %%rax")::"r"(HOLE + 64)));
	report("push to a hole");
	TRY(__asm__ volatile("mov %0, %%rsp\n" CODE("ud2")::"r"(HOLE + 64)));
	report("ud2 with rsp in a hole");
	TRY(__asm__ volatile("mov %0, %%rsp\n" CODE("ud2")::"r"(0x800000001000ul)));
	report("ud2 with rsp not canonical");
	TRY(__asm__ volatile("mov %0, %%rsp\n" CODE("int $0x40")::"r"(HOLE + 64)));
	report("int with rsp in a hole");

	/*
	 * an IST stack in a hole: #PF is told on the usual one. Benign or contributory, then #PF:
	 * #PF alone.
	 */
	tss.ist[1] = HOLE + 4096;
	idt[0x40].flags |= 2;
	SHOW("int on a stack in a hole", "int $0x40");
	idt[UD].flags |= 2;
	SHOW("ud2 on a stack in a hole", "ud2");
	idt[GP].flags |= 2;
	SHOW("#GP on a stack in a hole", "mov %0, %%ds", "r"(0x3f8));
	idt[DE].flags |= 2;
	SHOW("#DE on a stack in a hole", "div %0", "r"(0), "a"(1), "d"(0));
	/* not canonical: #SS */
	tss.ist[1] = 0x800000001000;
	SHOW("int on a stack that is not canonical", "int $0x40");
	TRY(__asm__ volatile(CODE("ud2")));
	value("ud2 on a stack that is not canonical: vector", trap.vector);
	SHOW("#DE on a stack that is not canonical", "div %0", "r"(0), "a"(1), "d"(0));
	idt[PF].flags |= 2;
	SHOW("#PF on a stack that is not canonical", "mov (%0), %%al", "r"(HOLE));
	idt[PF].flags &= (u16)~7;
	idt[0x40].flags &= (u16)~7;
	idt[UD].flags &= (u16)~7;
	idt[GP].flags &= (u16)~7;
	idt[DE].flags &= (u16)~7;

	/* the table's own page is absent: vectors from 0x80 on lie in the second page */
	struct table_pointer p = {sizeof(idt) - 1, AREA + 2048};
	map(0, first);
	map(1, second);
	copy((void *)(AREA + 2048), idt, sizeof(idt));
	lidt(&p);
	SHOW("int 0x90, both pages there", "int $0x90");
	map(1, NULL);
	SHOW("int 0x90, its gate's page absent", "int $0x90");
	SHOW("int 0x40, its gate's page there", "int $0x40");
	lidt(&idt_pointer);

	/* the descriptor's page is absent */
	map(1, second);
	p.limit = 4095;
	p.base = AREA + 2048;
	fill((void *)(AREA + 2048), 0, 4096 - 2048);
	copy((void *)(AREA + 2048), gdt, sizeof(gdt));
	*(volatile u64 *)(AREA + 4096) = gdt[KERNEL_DS / 8];
	lgdt(&p);
	SHOW("mov to ds, its descriptor's page there", "mov %0, %%ds", "r"(2048));
	map(1, NULL);
	SHOW("mov to ds, its descriptor's page absent", "mov %0, %%ds", "r"(2048));
	map(1, second);
	/* the accessed bit in a page that cannot be written */
	*(volatile u64 *)(AREA + 4096) = gdt[KERNEL_DS / 8] & ~(1ull << 40);
	table[1] &= ~2ul;
	invlpg(AREA + 4096);
	cr0_set(cr0_get() | CR0_WP);
	TRY(__asm__ volatile(CODE("mov %0, %%ds")::"r"(2048)));
	trap.cr2 &=
		~0xffful; /* how wide the access to the descriptor is is the processor's own affair */
	report("accessed bit to set in a read-only page");
	value("it is not set", (word)(*(volatile u64 *)(AREA + 4096) >> 40 & 1));
	cr0_set(cr0_get() & ~CR0_WP);
	lgdt(&gdt_pointer);
	__asm__ volatile("mov %0, %%ds" ::"r"(KERNEL_DS));

	/* from CPL 3 with rsp0 in a hole: the #PF for it needs rsp0, too */
	tss.rsp[0] = HOLE + 4096;
	extern u8 user_ud2[];
	__asm__(".pushsection .user\n user_ud2:\n" UCODE("ud2") "ret\n .popsection");
	TRY_USER(user_ud2, 0, 0);
	report("ud2 at CPL 3 with rsp0 in a hole");
	tss.ist[2] = (word)kernel_stack0_top;
	idt[PF].flags |= 3;
	TRY_USER(user_ud2, 0, 0);
	report("the same with an IST stack for #PF");
	tss.rsp[0] = (word)kernel_stack0_top;
	/* iretq whose frame lies in a hole */
	TRY(__asm__ volatile("mov %0, %%rsp\n" CODE("iretq")::"r"(HOLE)));
	report("iretq from a hole");
}
