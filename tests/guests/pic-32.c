/* SPDX-License-Identifier: MIT */
/*
 * The 8259 pair (Intel 8259A data sheet), requested by the 8254's output, by the RTC and by the
 * serial port.
 */
#include "guest.h"

static volatile u8 order[32];
static volatile unsigned count;

static int on_vector(struct frame *f)
{
	if (count < sizeof(order))
		order[count] = (u8)f->vector;
	count++;
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
	print("\n");
	count = 0;
}

static u8 pic_irr(u16 port)
{
	outb(port, 0x0a);
	return inb(port);
}

static u8 pic_isr(u16 port)
{
	outb(port, 0x0b);
	return inb(port);
}

/* The PIT in mode 0 raises line 0 once the count is over, and leaves it high. */
static void pit_request(void)
{
	outb(0x43, 0x30);
	outb(0x40, 2);
	outb(0x40, 0);
	for (unsigned i = 0; i < 1000000 && !(pic_irr(0x20) & 1); i++)
		;
}

static void pit_quiet(void)
{
	outb(0x43, 0x30); /* the mode's output is low until the count is written */
}

/* The serial port's transmitter raises line 4 as long as it is empty. */
static void serial_request(int on)
{
	outb(0x3fc, on ? 8 : 0);
	outb(0x3f9, on ? 2 : 0);
}

void guest_main(void)
{
	for (int i = 0x20; i < 0x80; i++)
		hooks[i] = on_vector;
	output_hold(); /* the serial port is one of the sources */
	pic_init(0xff, 0xff);
	pit_quiet();
	value("master mask", inb(0x21));
	value("slave mask", inb(0xa1));
	outb(0x21, 0xa5);
	value("a mask is read back", inb(0x21));
	outb(0x21, 0xff);

	pit_request();
	value("irr, masked", pic_irr(0x20) & 1);
	window();
	show("masked");
	outb(0x21, 0xfe);
	window();
	show("unmasked");
	value("isr", pic_isr(0x20));
	value("irr after acknowledge", pic_irr(0x20) & 1);
	pit_quiet();
	pit_request();
	window();
	show("a second request before EOI");
	outb(0x20, 0x20);
	window();
	show("after EOI");
	outb(0x20, 0x20);
	value("isr after EOI", pic_isr(0x20));

	/*
	 * priorities: line 0 before line 4; line 4 waits while 0 is in service, and 0 interrupts 4
	 */
	pit_quiet();
	outb(0x21, 0xee);
	serial_request(1);
	pit_request();
	window();
	show("0 and 4 together");
	outb(0x20, 0x60); /* specific EOI of 0 */
	window();
	show("after specific EOI of 0");
	value("isr with 4 in service", pic_isr(0x20));
	pit_quiet();
	pit_request();
	window();
	show("0 while 4 is in service");
	value("isr with both", pic_isr(0x20));
	serial_request(0);
	outb(0x20, 0x64);
	value("isr after specific EOI of 4", pic_isr(0x20));
	outb(0x20, 0x20);
	value("isr after nonspecific EOI", pic_isr(0x20));

	pit_quiet();
	outb(0x21, 0xff);
	serial_request(0);

	/* rotation: line 0 becomes lowest */
	pit_request();
	serial_request(1);
	outb(0x20, 0xc0);
	outb(0x21, 0xee);
	window();
	show("with line 0 lowest");
	outb(0x20, 0x20);
	window();
	show("then");
	outb(0x20, 0x20);
	outb(0x20, 0xc7); /* usual order again: line 7 lowest */
	serial_request(0);
	pit_quiet();

	/* poll command: acknowledges without an interrupt */
	pit_request();
	outb(0x20, 0x0c);
	value("poll", inb(0x20));
	value("isr after poll", pic_isr(0x20));
	outb(0x20, 0x20);
	outb(0x20, 0x0c);
	value("poll with nothing", inb(0x20) & 0x80);
	outb(0x20, 0x0b);

	/* special mask mode: a masked line in service blocks no lower one */
	pit_quiet();
	pit_request();
	outb(0x21, 0xee);
	window();
	show("0 in service");
	serial_request(1);
	window();
	show("4 blocked");
	outb(0x20, 0x68);
	outb(0x21, 0xef);
	window();
	show("4 in special mask mode");
	outb(0x20, 0x48);
	outb(0x20, 0x64);
	outb(0x20, 0x60);
	value("isr at the end", pic_isr(0x20));
	serial_request(0);
	pit_quiet();

	/* automatic EOI */
	outb(0x21, 0xff);
	outb(0x20, 0x11);
	outb(0x21, 0x40);
	outb(0x21, 4);
	outb(0x21, 3);
	outb(0x21, 0xfe);
	pit_request();
	window();
	show("automatic EOI, other base");
	value("isr with automatic EOI", pic_isr(0x20));
	pit_quiet();

	/* the slave, by the RTC's update interrupt on line 8 */
	pic_init(0xfb, 0xfe);
	outb(0x70, 0x8b);
	u8 b = inb(0x71);
	outb(0x70, 0x8a);
	u8 a = inb(0x71);
	outb(0x70, 0x8a);
	outb(0x71, 0x26); /* 1024 Hz */
	outb(0x70, 0x8b);
	outb(0x71, (u8)((b & 0x87) | 0x42));
	outb(0x70, 0x8c);
	inb(0x71);
	for (unsigned i = 0; i < 50000000 && !(pic_irr(0xa0) & 1); i++)
		;
	window();
	show("line 8");
	value("master isr", pic_isr(0x20));
	value("slave isr", pic_isr(0xa0));
	outb(0xa0, 0x20);
	value("master isr after EOI of the slave", pic_isr(0x20));
	outb(0x20, 0x20);
	value("master isr after EOI of both", pic_isr(0x20));
	outb(0x70, 0x8b);
	outb(0x71, b & 0x8f);
	outb(0x70, 0x8a);
	outb(0x71, a);
	outb(0x70, 0x0c);
	inb(0x71);
}
