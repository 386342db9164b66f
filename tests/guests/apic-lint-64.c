/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's LINT0 pin, at which the 8259's INT arrives: ExtINT, fixed, NMI, masked, and an APIC that is off (AMD64
 * volume 2, 16.3.1 and 16.4.1; Intel volume 3, 11.5.1); an ExtINT with nothing behind it is the 8259's spurious 7.
 */
#include "guest.h"

#define LINT0 0x350
#define LINT1 0x360
static volatile u8 order[8];
static volatile unsigned count;
static volatile u32 isr_seen;
static volatile unsigned quiet_at;

static u8 pic_register(u8 which)
{
	outb(0x20, which);
	return inb(0x20);
}
#define IRR 0x0a
#define ISR 0x0b

/* The PIT in mode 0 raises line 0 once the count is over, and leaves it high. */
static void pit_request(void)
{
	outb(0x43, 0x30);
	outb(0x40, 2);
	outb(0x40, 0);
	for (unsigned i = 0; i < 1000000 && !(pic_register(IRR) & 1); i++)
		;
}

/* The 8259 acknowledges by its poll command, so that INT falls without an INTA. */
static void pic_poll(void)
{
	outb(0x20, 0x0c);
	inb(0x20);
	outb(0x20, 0x20);
}

static void io_write(u8 index, u32 v)
{
	*(volatile u8 *)0xfec00000ul = index;
	*(volatile u32 *)0xfec00010ul = v;
}

/* The serial port's transmitter raises line 4 as long as it is empty. */
static void serial_request(int on)
{
	outb(0x3fc, on ? 8 : 0);
	outb(0x3f9, on ? 2 : 0);
}

static int on_vector(struct frame *f)
{
	isr_seen = apic_read(0x100 + (u32)(f->vector >> 5) * 0x10) >> (f->vector & 31) & 1;
	if (count < sizeof(order))
		order[count] = (u8)f->vector;
	count++;
	if (f->vector >= 0x20 && f->vector < 0x30) {
		outb(0x20, 0x20);
		return 1;
	}
	if (count == quiet_at)
		pic_poll();
	if (f->vector != NMI)
		apic_write(0xb0, 0);
	return 1;
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
	print("%s\n", count ? "" : " none");
	count = 0;
}

static void quiet(void)
{
	outb(0x43, 0x30);
	pic_poll();
	apic_write(LINT0, 0x10000);
	window();
	count = 0;
}

void guest_main(void)
{
	for (int i = 0x20; i < 0x60; i++)
		hooks[i] = on_vector;
	hooks[NMI] = on_vector;
	apic_enable();
	pic_init(0xfe, 0xff);
	quiet();

	pit_request();
	window();
	show("masked");
	apic_write(LINT0, 0x700);
	window();
	show("ExtINT, unmasked while INT is up");
	value("ExtINT: in service in the local APIC", isr_seen);
	value("ExtINT: in request in the 8259", pic_register(IRR) & 1);
	window();
	show("nothing is left");
	quiet();
	apic_write(LINT0, 0x700);
	apic_write(0x80, 0xf0);
	pit_request();
	window();
	show("ExtINT is above every task priority");
	apic_write(0x80, 0);
	quiet();

	/* fixed: the vector is the LVT's, and the 8259 hears of no acknowledgement */
	apic_write(LINT0, 0x51);
	pit_request();
	window();
	show("fixed, edge");
	value("fixed: in service in the local APIC", isr_seen);
	value("fixed: request stays in the 8259", pic_register(IRR) & 1);
	value("fixed: nothing in service there", pic_register(ISR));
	window();
	show("fixed, edge, INT still up");
	quiet();
	quiet_at = 3;
	apic_write(LINT0, 0x8052);
	pit_request();
	for (int i = 0; i < 8; i++)
		window();
	show("fixed, level, INT up until the third");
	quiet_at = 0;
	quiet();
	apic_write(LINT0, 0x53);
	apic_write(0x80, 0x50);
	pit_request();
	window();
	show("fixed, below the task priority");
	apic_write(0x80, 0);
	window();
	show("and when that falls");
	quiet();

	apic_write(LINT0, 0x454);
	pit_request();
	__asm__ volatile("nop; nop");
	show("NMI, with IF 0");
	quiet();

	/* software disable masks the pin */
	apic_write(LINT0, 0x700);
	apic_write(0xf0, 0xff);
	value("LINT0's entry when the APIC is disabled", apic_read(LINT0) & 0x10700);
	pit_request();
	window();
	show("disabled by software");
	quiet();
	apic_write(0xf0, 0x1ff);
	apic_write(LINT1, 0x1a7ff);
	value("LINT1's entry", apic_read(LINT1));
	apic_write(LINT1, 0x10000);

	/*
	 * An ExtINT message, from the I/O APIC's pin 4, which is the serial port's: the 8259 is asked, and has nothing that
	 * is not masked. It answers with input 7, and nothing is in service.
	 */
	output_hold();
	io_write(0x19, 0);
	io_write(0x18, 0x700);
	serial_request(1);
	window();
	serial_request(0);
	show("ExtINT with nothing behind it");
	value("in service in the 8259 then", pic_register(ISR));
	serial_request(1);
	pit_request();
	window();
	serial_request(0);
	show("ExtINT with line 0 behind it");
	io_write(0x18, 0x10000);
	/* not an interprocessor message */
	apic_write(0x310, 0);
	apic_write(0x300, 0x40700);
	window();
	show("ExtINT as an IPI");
	quiet();

	/* off: INT goes to the processor as if there were no APIC */
	msr_set(0x1b, msr_get(0x1b) & ~0x800ull);
	pit_request();
	window();
	show("the APIC off");
	outb(0x43, 0x30);
	outb(0x21, 0xff);
	msr_set(0x1b, 0xfee00900);
}
