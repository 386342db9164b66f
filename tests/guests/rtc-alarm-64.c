/* SPDX-License-Identifier: MIT */
/* The RTC's alarm (MC146818A data sheet): by the second, every second, never; as a flag and as an interrupt. */
#include "guest.h"

static volatile unsigned ticks;
static volatile u8 last, flags;

static u8 cmos(u8 index)
{
	outb(0x70, index);
	return inb(0x71);
}

static void cmos_set(u8 index, u8 v)
{
	outb(0x70, index);
	outb(0x71, v);
}

static int on_pic(struct frame *f)
{
	ticks++;
	last = (u8)f->vector;
	flags = cmos(12);
	outb(0xa0, 0x20);
	outb(0x20, 0x20);
	return 1;
}

static int on_timer(struct frame *f)
{
	apic_write(0xb0, 0);
	return 1;
}

/*
 * Sleeps until the alarm, or for n seconds of the RTC's: the APIC's timer wakes up meanwhile. Asleep, since time may be a
 * count of instructions.
 */
static int wait_alarm(int seconds)
{
	u8 second = cmos(0);

	ticks = 0;
	while (!ticks && seconds > 0) {
		apic_write(0x380, 1000000);
		__asm__ volatile("sti; hlt; cli" ::: "memory");
		if (cmos(10) & 0x80)
			continue;
		if (cmos(0) != second) {
			second = cmos(0);
			seconds--;
		}
	}
	apic_write(0x380, 0);
	return ticks != 0;
}

static u8 bcd_after(u8 v, int n)
{
	int value = ((v >> 4) * 10 + (v & 15) + n) % 60;

	return (u8)(value / 10 << 4 | value % 10);
}

static void alarm_set(u8 hour, u8 minute, u8 second)
{
	cmos_set(1, second);
	cmos_set(3, minute);
	cmos_set(5, hour);
	cmos(12);
}

/* Just behind a second's beginning, so that nothing changes under our hands. */
static u8 wait_second(void)
{
	u8 second = cmos(0);

	while (cmos(0) == second || cmos(10) & 0x80) {
		apic_write(0x380, 1000000);
		__asm__ volatile("sti; hlt; cli" ::: "memory");
	}
	apic_write(0x380, 0);
	return cmos(0);
}

void guest_main(void)
{
	u8 b = cmos(11), second;

	hooks[0x28] = on_pic;
	hooks[0x50] = on_timer;
	apic_enable();
	apic_write(0x3e0, 0xb);
	apic_write(0x320, 0x50);
	apic_write(0x350, 0x700);
	pic_init(0xfb, 0xfe);
	cmos_set(11, (u8)((b & 0x8f) & ~4));
	cmos(12);

	/* two seconds from now */
	second = bcd_after(wait_second(), 2);
	alarm_set(0xff, 0xff, second);
	cmos_set(11, (u8)((b & 0x8b) | 0x20));
	value("bytes are read back: hour", cmos(5));
	check("alarm at a second", wait_alarm(4));
	value("its vector", last);
	value("register C: interrupt, alarm", flags & 0xa0);
	check("at that second", cmos(0) == second);
	value("register C afterwards", cmos(12) & 0xa0);

	/* every second */
	alarm_set(0xc0, 0xc0, 0xc0);
	check("alarm every second", wait_alarm(3));
	check("and again", wait_alarm(3));

	/* not in this minute, not in this hour */
	alarm_set(0xff, bcd_after(cmos(2), 30), 0xff);
	value("alarm in another minute", wait_alarm(2));
	alarm_set((u8)(cmos(4) == 0x12 ? 0x13 : 0x12), 0xff, 0xff);
	value("alarm in another hour", wait_alarm(2));

	/* the flag alone */
	cmos_set(11, (u8)(b & 0x8b));
	alarm_set(0xff, 0xff, 0xff);
	value("not enabled: interrupts", wait_alarm(2));
	value("register C: its flag without an interrupt", cmos(12) & 0xa0);
	cmos_set(11, b & 0x8f);
	cmos(12);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}
