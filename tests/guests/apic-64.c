/* SPDX-License-Identifier: MIT */
/*
 * The local APIC: self-IPIs, priorities, TPR and CR8, IRR and ISR, spurious, errors, software
 * disable (AMD64 volume 2, 16).
 */
#include "guest.h"

static volatile u8 order[32];
static volatile unsigned count;
static volatile u32 isr_seen[8];
static volatile int no_eoi;

static int on_vector(struct frame *f)
{
	if (count < sizeof(order))
		order[count] = (u8)f->vector;
	isr_seen[0] = apic_read(0x100 + (f->vector >> 5) * 0x10);
	count++;
	if (!no_eoi && f->vector != 0xff)
		apic_write(0xb0, 0);
	return 1;
}

/* The handler of 0x60 opens IF: higher ones nest, lower ones wait. */
static int on_open(struct frame *f)
{
	if (count < sizeof(order))
		order[count] = (u8)f->vector;
	count++;
	__asm__ volatile("sti; nop; nop; nop; cli");
	if (count < sizeof(order))
		order[count] = 0x01;
	count++;
	apic_write(0xb0, 0);
	return 1;
}

static void self(u32 vector)
{
	apic_write(0x310, apic_read(0x20) & 0xff000000);
	apic_write(0x300, vector);
}

static void window(void)
{
	__asm__ volatile("sti; nop; nop; nop; nop; cli" ::: "memory");
}

static void show(const char *name)
{
	print("%s:", name);
	for (unsigned i = 0; i < count && i < sizeof(order); i++)
		print(" %x", (word)order[i]);
	print("\n");
	count = 0;
}

static word irr(u32 vector)
{
	return apic_read(0x200 + (vector >> 5) * 0x10) >> (vector & 31) & 1;
}

static word isr(u32 vector)
{
	return apic_read(0x100 + (vector >> 5) * 0x10) >> (vector & 31) & 1;
}

void guest_main(void)
{
	for (int i = 0x20; i < 0x80; i++)
		hooks[i] = on_vector;
	for (int i = 0x81; i < 256; i++)
		hooks[i] = on_vector;
	apic_enable();
	check("version register: APIC of the integrated kind, at least 4 LVTs",
		(apic_read(0x30) & 0xf0) == 0x10 && (apic_read(0x30) >> 16 & 0xff) >= 3);
	value("id", apic_read(0x20));
	value("base msr: enabled, bootstrap processor", (word)(msr_get(0x1b) & 0xf00));

	self(0x50);
	value("irr while IF 0", irr(0x50));
	value("isr while IF 0", isr(0x50));
	window();
	show("one");
	value("irr afterwards", irr(0x50));
	value("isr afterwards", isr(0x50));
	self(0x51);
	self(0x51);
	window();
	show("twice the same is once");
	self(0x41);
	self(0x91);
	self(0x61);
	self(0x60);
	window();
	show("highest first");
	/* in service: same class waits for EOI */
	no_eoi = 1;
	self(0x62);
	window();
	show("without EOI");
	self(0x6f);
	self(0x55);
	window();
	show("same and lower class while in service");
	self(0x70);
	window();
	show("higher class while in service");
	value("ppr", apic_read(0xa0));
	no_eoi = 0;
	apic_write(0xb0, 0);
	value("ppr after one EOI", apic_read(0xa0));
	window();
	show("still in service");
	apic_write(0xb0, 0);
	window();
	show("after EOI of both");
	value("ppr at rest", apic_read(0xa0));
	apic_write(0xb0, 0);
	value("EOI with nothing in service: ppr", apic_read(0xa0));
	hooks[0x60] = on_open;
	self(0x60);
	window();
	show("handler alone");
	hooks[0x60] = on_vector;

	/* task priority */
	apic_write(0x80, 0x60);
	self(0x6f);
	self(0x70);
	window();
	show("TPR 0x60");
	apic_write(0x80, 0x5f);
	value("ppr with TPR 0x5f", apic_read(0xa0));
	window();
	show("TPR 0x5f");
	word cr8;
	__asm__ volatile("mov %%cr8, %0" : "=r"(cr8));
	value("cr8", cr8);
	__asm__ volatile("mov %0, %%cr8" ::"r"(9ul));
	value("TPR after cr8 = 9", apic_read(0x80));
	self(0x9f);
	self(0xa0);
	window();
	show("cr8 9");
	__asm__ volatile("mov %0, %%cr8" ::"r"(0ul));
	window();
	show("cr8 0");
	SHOW("cr8 with a reserved bit", "mov %0, %%cr8", "r"(0x10ul));
	__asm__ volatile("mov %0, %%cr8" ::"r"(0ul));

	/* shorthands */
	apic_write(0x300, 0x40000 | 0x53);
	window();
	show("self shorthand");
	apic_write(0x300, 0x80000 | 0x54);
	window();
	show("all including self");
	apic_write(0x300, 0xc0000 | 0x55);
	window();
	show("all but self");
	/* logical destination, flat */
	apic_write(0xe0, 0xffffffff);
	apic_write(0xd0, 0x04000000);
	apic_write(0x310, 0x06000000);
	apic_write(0x300, 0x800 | 0x56);
	window();
	show("logical flat, matching");
	apic_write(0x310, 0x02000000);
	apic_write(0x300, 0x800 | 0x57);
	window();
	show("logical flat, not matching");
	apic_write(0xe0, 0x0fffffff);
	apic_write(0xd0, 0x12000000);
	apic_write(0x310, 0x12000000);
	apic_write(0x300, 0x800 | 0x58);
	window();
	show("logical cluster, matching");
	apic_write(0x310, 0x22000000);
	apic_write(0x300, 0x800 | 0x59);
	window();
	show("logical cluster, another cluster");
	apic_write(0xe0, 0xffffffff);
	apic_write(0x310, 0xff000000);
	apic_write(0x300, 0x5a);
	window();
	show("physical broadcast");

	/* illegal vectors are told in the error status register, which a write latches */
	apic_write(0x280, 0);
	self(0x05);
	apic_write(0x280, 0);
	value("esr after sending vector 5", apic_read(0x280) & 0x20);
	apic_write(0x280, 0);
	value("esr after another write", apic_read(0x280) & 0x20);

	/* registers keep what they are given, as far as it exists */
	apic_write(0x320, 0xffffffff);
	value("timer lvt", apic_read(0x320) & ~0x40000ul);
	apic_write(0x320, 0x10000);
	apic_write(0x350, 0x0001a7ff);
	value("lint0 lvt", apic_read(0x350));
	apic_write(0x350, 0x10000);
	apic_write(0x3e0, 0xffffffff);
	value("divide configuration", apic_read(0x3e0));
	apic_write(0x80, 0xffffff10);
	value("tpr", apic_read(0x80));
	apic_write(0x80, 0);
	apic_write(0xd0, 0xffffffff);
	value("ldr", apic_read(0xd0));
	apic_write(0xe0, 0);
	value("dfr", apic_read(0xe0));
	apic_write(0xe0, 0xffffffff);

	/* software disable masks every LVT and takes no more */
	apic_write(0x320, 0x000000f0);
	apic_write(0xf0, 0x0ff);
	value("timer lvt when disabled", apic_read(0x320));
	apic_write(0x320, 0x000000f0);
	value("it cannot be unmasked when disabled", apic_read(0x320));
	apic_write(0xf0, 0x1ff);
	value("timer lvt when enabled again", apic_read(0x320));
}
