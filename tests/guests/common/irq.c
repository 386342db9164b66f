/* SPDX-License-Identifier: MIT */
/* The 8259 pair and the local APIC (AMD64 manual volume 2, chapter 16; Intel 8259A data sheet). */
#include "guest.h"

#define APIC_BASE 0xfee00000ul

void pic_init(u8 master_mask, u8 slave_mask)
{
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, 0x20);
	outb(0xa1, 0x28);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	outb(0x21, master_mask);
	outb(0xa1, slave_mask);
}

u32 apic_read(u32 reg)
{
	return *(volatile u32 *)(APIC_BASE + reg);
}

void apic_write(u32 reg, u32 v)
{
	*(volatile u32 *)(APIC_BASE + reg) = v;
}

void apic_enable(void)
{
	static const u16 lvts[] = {0x320, 0x340, 0x350, 0x360, 0x370};

	msr_set(0x1b, 0xfee00000 | 0x900);
	apic_write(0xf0, 0x1ff);
	for (unsigned i = 0; i < sizeof(lvts) / sizeof(lvts[0]); i++)
		apic_write(lvts[i], 0x10000);
	apic_write(0x80, 0);
	apic_write(0x380, 0);
}
