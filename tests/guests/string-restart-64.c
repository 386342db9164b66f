/* SPDX-License-Identifier: MIT */
/*
 * Repeated string instructions that are interrupted: the registers say exactly how far they came,
 * and they go on from there.
 */
#define ENTRY u64
#include "paging.h"

#define VA 0x400000000000ul
static u64 *table;
static word fault_di, fault_si, fault_cx, fault_ip;
static unsigned faults;

/* Maps what is missing and notes the registers. */
static int on_fault(struct frame *f)
{
	word address = cr2_get();

	faults++;
	fault_di = f->di;
	fault_si = f->si;
	fault_cx = f->cx;
	fault_ip = f->ip;
	table[(address - VA) >> 12] |= P;
	invlpg(address);
	return faults < 20;
}

static void show(const char *name, word di, word si, word cx, word start)
{
	print("%s: faults %d", name, (int)faults);
	if (faults)
		print(", last at rdi +%x rsi +%x rcx %x, ip %s", fault_di - VA, fault_si - VA,
			fault_cx, fault_ip == start ? "its own" : "ANOTHER");
	print(", in the end rdi +%x rsi +%x rcx %x\n", di - VA, si - VA, cx);
	faults = 0;
}

static void absent(int page)
{
	table[page] &= ~(u64)P;
	invlpg(VA + (word)page * 4096);
}

#define STRING(name, text, to, from, n)                                       \
	do {                                                                  \
		word di = (to), si = (from), cx = (n), start;                 \
		__asm__ volatile("lea 1f(%%rip), %3\n 1:" text                \
				 : "+D"(di), "+S"(si), "+c"(cx), "=&r"(start) \
				 : "a"(0x5a5a5a5a5a5a5a5a)                    \
				 : "memory", "cc");                           \
		show(name, di, si, cx, start);                                \
		__asm__ volatile("cld");                                      \
	} while (0)

static volatile unsigned ticks;
static word tick_cx;
static word rep_ip;
static int on_tick(struct frame *f)
{
	ticks++;
	if (f->ip == rep_ip)
		tick_cx = f->cx;
	apic_write(0xb0, 0);
	return 1;
}

void guest_main(void)
{
	u64 *pdpt = page_alloc(), *pd = page_alloc();

	table = page_alloc();
	pml4[VA >> 39 & 511] = (u64)pdpt | 7;
	pdpt[0] = (u64)pd | 7;
	pd[0] = (u64)table | 7;
	for (int i = 0; i < 8; i++)
		table[i] = (u64)page_alloc() | 7;
	hooks[PF] = on_fault;

	absent(1);
	STRING("rep stosb", "rep stosb", VA + 4090, VA, 20);
	absent(1);
	STRING("rep stosq, an element over the end", "rep stosq", VA + 4096 - 20, VA, 5);
	absent(1);
	absent(3);
	STRING("rep movsb, both absent", "rep movsb", VA + 4096 - 3, VA + 3 * 4096 - 5, 16);
	absent(0);
	__asm__ volatile("std");
	STRING("rep stosl downwards", "rep stosl", VA + 4096 + 8, VA, 5);
	absent(1);
	STRING("rep movsw, source absent", "rep movsw", VA + 2 * 4096, VA + 4096 - 2, 4);
	absent(1);
	absent(2);
	absent(3);
	STRING("rep stosb over three pages", "rep stosb", VA + 4000, VA, 3 * 4096);
	fill((void *)VA, 0, 8 * 4096);
	absent(1);
	STRING("repe cmpsb", "repe cmpsb", VA + 4090, VA + 5 * 4096, 20);
	*(volatile u8 *)(VA + 4096 + 3) = 0x5a;
	absent(1);
	STRING("repne scasb", "repne scasb", VA + 4090, VA, 20);
	absent(1);
	STRING("rep lodsb", "rep lodsb", VA, VA + 4090, 20);
	absent(1);
	STRING("rep stosb of 0 touches nothing", "rep stosb", VA + 4096, VA, 0);
	table[1] |= P;
	STRING("rep with a 32-bit count and address", "addr32 rep stosb", 0x1000000, VA,
		0x100000003);
	/* overlapping copies go byte by byte */
	for (int i = 0; i < 16; i++)
		*(volatile u8 *)(VA + (word)i) = (u8)i;
	STRING("overlapping", "rep movsb", VA + 1, VA, 15);
	value("the last byte is the first", *(volatile u8 *)(VA + 15));

	/* an interrupt in the midst of a long one, and it goes on to the end */
	apic_enable();
	hooks[0x50] = on_tick;
	word size = 8 << 20, di, cx;
	apic_write(0x3e0, 0xb);
	/* the timer's period: a part of what one takes, whatever the clock makes of it */
	apic_write(0x320, 0x10050);
	apic_write(0x380, 0xffffffff);
	di = 0x1000000;
	cx = size;
	__asm__ volatile("rep stosb" : "+D"(di), "+c"(cx) : "a"(0) : "memory");
	u32 period = (0xffffffff - apic_read(0x390)) / 3;
	apic_write(0x320, 0x20050);
	apic_write(0x380, period < 1000 ? 1000 : period);
	for (int i = 0; i < 5000 && ticks < 5; i++) {
		di = 0x1000000;
		cx = size;
		__asm__ volatile("lea 1f(%%rip), %%rdx; mov %%rdx, %2; sti; 1: rep stosb; cli"
				 : "+D"(di), "+c"(cx), "=m"(rep_ip)
				 : "a"(i)
				 : "rdx", "memory");
		if (di != 0x1000000 + size || cx)
			failed = 1;
	}
	apic_write(0x320, 0x10000);
	check("interrupts came", ticks >= 5);
	check("every rep stosb went to its end", !failed);
	check("the count was never above the whole", tick_cx <= size);
}
