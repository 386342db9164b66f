/* SPDX-License-Identifier: MIT */
/*
 * The I/O APIC (Intel 82093AA data sheet): edge and level, masks, polarity, remote IRR and EOI,
 * physical and logical destination.
 */
#include "guest.h"

#define IOAPIC 0xfec00000ul
static volatile unsigned count;
static volatile u8 order[16];
static volatile unsigned acknowledge_at =
	1; /* the interrupt in which the device lets go of the line */

static u32 io_read(u8 index)
{
	*(volatile u8 *)IOAPIC = index;
	return *(volatile u32 *)(IOAPIC + 0x10);
}

static void io_write(u8 index, u32 v)
{
	*(volatile u8 *)IOAPIC = index;
	*(volatile u32 *)(IOAPIC + 0x10) = v;
}

static void entry(int pin, u32 high, u32 low)
{
	io_write((u8)(0x10 + pin * 2), low | 0x10000);
	io_write((u8)(0x11 + pin * 2), high);
	io_write((u8)(0x10 + pin * 2), low);
}

/* The source: the serial port's transmitter, empty, on ISA line 4, which is pin 4. */
static void serial_request(int on)
{
	outb(0x3fc, on ? 8 : 0);
	outb(0x3f9, on ? 2 : 0);
}

static int on_vector(struct frame *f)
{
	if (count < sizeof(order))
		order[count] = (u8)f->vector;
	count++;
	if (count >= acknowledge_at)
		serial_request(0);
	apic_write(0xb0, 0);
	return 1;
}

static void window(void)
{
	__asm__ volatile("sti; nop; nop; nop; nop; nop; nop; cli" ::: "memory");
}

static void show(const char *name)
{
	print("%s:", name);
	for (unsigned i = 0; i < count && i < 4; i++)
		print(" %x", (word)order[i]);
	print("%s\n", count ? "" : " none");
	count = 0;
}

void guest_main(void)
{
	output_hold();
	for (int i = 0x40; i < 0x60; i++)
		hooks[i] = on_vector;
	apic_enable();
	serial_request(0);
	check("version 0x11 or 0x20, 24 pins",
		((io_read(1) & 0xff) == 0x11 || (io_read(1) & 0xff) == 0x20) &&
			io_read(1) >> 16 == 23);
	value("id register's other bits", io_read(0) & 0xf0ffffff);
	for (int i = 0; i < 24; i++)
		entry(i, 0, 0x10000);
	entry(4, 0x12000000, 0x1a7ff);
	value("an entry reads back, low", io_read(0x18));
	value("an entry reads back, high", io_read(0x19));
	entry(4, 0, 0x10000);

	/* edge */
	entry(4, 0, 0x10044);
	serial_request(1);
	window();
	show("edge, masked");
	serial_request(0);
	entry(4, 0, 0x44);
	window();
	show("edge unmasked after the line fell");
	serial_request(1);
	window();
	show("edge");
	acknowledge_at = 100;
	serial_request(1);
	window();
	window();
	show("edge, line kept high: once");
	serial_request(0);
	acknowledge_at = 1;

	/* level */
	entry(4, 0, 0x8045);
	serial_request(1);
	window();
	show("level");
	value("remote irr afterwards", io_read(0x18) & 0x4000);
	acknowledge_at = 3;
	serial_request(1);
	for (int i = 0; i < 10; i++)
		window();
	show("level, line high until the third");
	acknowledge_at = 1;
	/*
	 * pending in the local APIC, not yet accepted: remote irr is set, and a mask does not take
	 * it back
	 */
	serial_request(1);
	value("remote irr while pending", io_read(0x18) & 0x4000);
	value("irr in the local APIC", apic_read(0x220) >> 5 & 1);
	entry(4, 0, 0x18045);
	window();
	show("masked after it was sent");
	serial_request(0);
	window();
	count = 0;
	/* level, masked while the line is high: comes when unmasked */
	entry(4, 0, 0x18046);
	serial_request(1);
	window();
	show("level, masked");
	entry(4, 0, 0x8046);
	window();
	show("level, unmasked");
	serial_request(0);

	/* destinations */
	entry(4, 0xff000000, 0x47);
	serial_request(1);
	window();
	show("physical broadcast");
	entry(4, 0x05000000, 0x48);
	serial_request(1);
	window();
	show("physical, another processor");
	serial_request(0);
	apic_write(0xe0, 0xffffffff);
	apic_write(0xd0, 0x01000000);
	entry(4, 0x01000000, 0x849);
	serial_request(1);
	window();
	show("logical, this processor");
	entry(4, 0x02000000, 0x84a);
	serial_request(1);
	window();
	show("logical, another processor");
	serial_request(0);
	entry(4, 0x01000000, 0x94b);
	serial_request(1);
	window();
	show("lowest priority");
	/* two in one go: by the vector's priority */
	entry(4, 0, 0x44);
	serial_request(1);
	apic_write(0x310, 0);
	apic_write(0x300, 0x55);
	window();
	show("with a higher self-IPI");
	entry(4, 0, 0x10000);
	serial_request(0);
}
