/* SPDX-License-Identifier: MIT */
/*
 * The APIC timer, the 8254, the RTC and the PM timer: that they count, in which direction, when
 * they stop and what they raise.
 */
#include "guest.h"

static volatile unsigned ticks, last;
static int on_tick(struct frame *f)
{
	ticks++;
	last = (unsigned)f->vector;
	apic_write(0xb0, 0);
	return 1;
}

static int on_pic(struct frame *f)
{
	ticks++;
	last = (unsigned)f->vector;
	if (f->vector >= 0x28)
		outb(0xa0, 0x20);
	outb(0x20, 0x20);
	return 1;
}

/* Waits with interrupts open until n ticks came; gives up after a long while. */
static int wait_ticks(unsigned n)
{
	u64 limit = 2000000000ull;

	__asm__ volatile("sti");
	while (ticks < n && limit--)
		__asm__ volatile("pause" ::: "memory");
	__asm__ volatile("cli");
	return ticks >= n;
}

static void test_apic_timer(void)
{
	u32 a, b;

	apic_write(0x3e0, 0xb); /* divide by 1 */
	apic_write(0x320, 0x10000 | 0x50);
	apic_write(0x380, 0xffffffff);
	a = apic_read(0x390);
	for (volatile int i = 0; i < 3000; i++)
		;
	b = apic_read(0x390);
	check("masked timer counts down", b < a);
	apic_write(0x380, 0);
	value("initial count 0 stops it: current", apic_read(0x390));
	ticks = 0;
	apic_write(0x320, 0x50);
	apic_write(0x380, 100000);
	check("one-shot", wait_ticks(1));
	for (volatile int i = 0; i < 1000000; i++)
		;
	__asm__ volatile("sti; nop; nop; cli");
	value("one-shot ticks in all", ticks);
	value("current count afterwards", apic_read(0x390));
	value("initial count afterwards", apic_read(0x380));
	ticks = 0;
	apic_write(0x320, 0x20000 | 0x51);
	apic_write(0x380, 200000);
	check("periodic: five", wait_ticks(5));
	value("its vector", last);
	u32 highest = 0;
	for (int i = 0; i < 1000; i++) {
		u32 v = apic_read(0x390);

		highest = v > highest ? v : highest;
	}
	check("periodic: the count stays within the initial count", highest <= 200000 && highest);
	apic_write(0x320, 0x10000);
	apic_write(0x380, 0);
	/* a masked timer that expired raised nothing, also after unmasking */
	ticks = 0;
	__asm__ volatile("sti; nop; nop; cli");
	ticks = 0;
	apic_write(0x320, 0x10000 | 0x52);
	apic_write(0x380, 1000);
	while (apic_read(0x390))
		;
	apic_write(0x320, 0x52);
	__asm__ volatile("sti; nop; nop; cli");
	value("expired while masked", ticks);
	/* dividers: by 128 runs slower than by 1 */
	u64 t[2] = {~0ul, ~0ul};
	for (int i = 0; i < 6;
		i++) { /* the shorter of three: a busy host may stop us at any time */
		apic_write(0x3e0, i % 2 ? 0xa : 0xb);
		apic_write(0x320, 0x10000 | 0x52);
		u64 from = rdtsc();
		apic_write(0x380, 40000);
		while (apic_read(0x390))
			;
		u64 took = rdtsc() - from;
		if (took < t[i % 2])
			t[i % 2] = took;
	}
	check("divide by 128 is slower than by 1, more than thirty times", t[1] > t[0] * 30);
	apic_write(0x3e0, 0xb);
}

static u16 pit_count(int counter)
{
	u8 low;

	outb(0x43, (u8)(counter << 6));
	low = inb((u16)(0x40 + counter));
	return (u16)(low | inb((u16)(0x40 + counter)) << 8);
}

static void pit_set(int counter, int mode, u16 count)
{
	outb(0x43, (u8)(counter << 6 | 0x30 | mode << 1));
	outb((u16)(0x40 + counter), (u8)count);
	outb((u16)(0x40 + counter), (u8)(count >> 8));
}

static u8 pit_status(int counter)
{
	outb(0x43, (u8)(0xe0 | 2 << counter));
	return inb((u16)(0x40 + counter));
}

static void test_pit(void)
{
	u16 a, b;
	u8 low;

	/* counter 2: its gate is port 0x61 bit 0, its output bit 5 */
	outb(0x61, inb(0x61) & 0xfc);
	pit_set(2, 0, 0xffff);
	outb(0x61, (inb(0x61) & 0xfc) | 1);
	value("mode 0: output while counting", inb(0x61) & 0x20);
	value("status without the null bit", pit_status(2) & 0xbf);
	a = pit_count(2);
	for (volatile int i = 0; i < 3000; i++)
		;
	b = pit_count(2);
	check("it counts down", b < a);
	outb(0x61, inb(0x61) & 0xfc);
	a = pit_count(2);
	for (volatile int i = 0; i < 3000; i++)
		;
	value("mode 0: gate low stops it", a == pit_count(2));
	outb(0x61, (inb(0x61) & 0xfc) | 1);
	pit_set(2, 0, 1000);
	u32 limit = 100000000;
	while (!(inb(0x61) & 0x20) && --limit)
		;
	check("mode 0: output rises at the end", limit != 0);
	value("status: output, both bytes, mode 0", pit_status(2) & 0xbf);
	pit_set(2, 0, 0xffff);
	value("a new count lowers it", inb(0x61) & 0x20);
	/* a latched count stays until it is read */
	outb(0x43, 0x80);
	low = inb(0x42);
	for (volatile int i = 0; i < 3000; i++)
		;
	a = (u16)(low | inb(0x42) << 8);
	outb(0x43, 0x80);
	for (volatile int i = 0; i < 3000; i++)
		;
	outb(0x43, 0x80); /* a second latch command is ignored */
	low = inb(0x42);
	b = (u16)(low | inb(0x42) << 8);
	check("latched counts are consistent", b < a);
	/* mode 2: high but for one clock, reloads */
	pit_set(2, 2, 0x4000);
	value("mode 2: output", inb(0x61) & 0x20);
	u32 reloads = 0;
	a = pit_count(2);
	for (u32 i = 0; i < 20000000 && reloads < 3; i++) {
		b = pit_count(2);
		reloads += b > a;
		a = b;
	}
	value("mode 2: reloads seen", reloads);
	/* mode 3: a square wave */
	pit_set(2, 3, 0x1000);
	u32 edges = 0;
	a = inb(0x61) & 0x20;
	for (u32 i = 0; i < 20000000 && edges < 6; i++) {
		b = inb(0x61) & 0x20;
		edges += a != b;
		a = b;
	}
	value("mode 3: edges seen", edges);
	value("status in mode 3 without output and null", pit_status(2) & 0x3f);
	/* one byte only */
	outb(0x43, 0x90);
	outb(0x42, 0x80);
	value("low byte only: status", pit_status(2) & 0x3f);
	outb(0x61, inb(0x61) & 0xfc);

	/* counter 0 interrupts by line 0 of the PIC */
	pic_init(0xfe, 0xff);
	ticks = 0;
	pit_set(0, 2, 2000);
	check("mode 2 on line 0: five interrupts", wait_ticks(5));
	value("their vector", last);
	pit_set(0, 0, 2000);
	ticks = 0;
	check("mode 0 on line 0", wait_ticks(1));
	for (volatile int i = 0; i < 3000000; i++)
		;
	__asm__ volatile("sti; nop; nop; cli");
	value("mode 0: interrupts in all", ticks);
	outb(0x21, 0xff);
}

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

static void test_rtc(void)
{
	u8 a = cmos(10), b = cmos(11);
	u32 limit;

	value("register D: battery good", cmos(13) & 0x80);
	value("register A: divider", cmos(10) & 0x70);
	value("register B: 24 hours", cmos(11) & 2);
	check("seconds are BCD", (cmos(0) & 15) < 10 && cmos(0) < 0x60);
	check("month is BCD", cmos(8) >= 1 && cmos(8) <= 0x12 && (cmos(8) & 15) < 10);
	check("century", cmos(0x32) == 0x20 || cmos(0x32) == 0x19);
	cmos_set(0x40, 0x5a);
	value("its memory keeps a byte", cmos(0x40));

	/* periodic flag by register C without an interrupt; reading clears */
	cmos(12);
	cmos_set(10, 0x26);
	limit = 1000000;
	while (!(cmos(12) & 0x40) && --limit)
		;
	value("periodic flag without its interrupt", limit != 0);
	/* as interrupts on line 8 */
	pic_init(0xfb, 0xfe);
	ticks = 0;
	cmos_set(11, (u8)(b | 0x40));
	cmos(12);
	u64 tries = 0;
	__asm__ volatile("sti");
	while (ticks < 3 && tries++ < 100000000)
		if (ticks)
			cmos(12);
	__asm__ volatile("cli");
	check("periodic interrupts, register C read each time", ticks >= 3);
	value("their vector", last);
	/* without a read of C there is no other */
	cmos(12);
	ticks = 0;
	wait_ticks(1);
	for (volatile int i = 0; i < 3000000; i++)
		;
	__asm__ volatile("sti; nop; nop; nop; cli");
	value("interrupts without a read of C", ticks);
	value("register C", cmos(12) & 0xc0);
	cmos_set(11, b); /* else the next period could come between the two */
	value("register C again, interrupts", cmos(12) & 0x80);
	__asm__ volatile("sti; nop; nop; nop; cli" ::: "memory"); /* what the PIC has kept */
	cmos(12);
	/* update ended, once a second */
	ticks = 0;
	cmos_set(11, (u8)((b & 0x8f) | 0x10));
	cmos(12);
	u8 second = cmos(0);
	check("update-ended interrupt", wait_ticks(1));
	value("register C: update flags", cmos(12) & 0x90);
	check("the second has changed", cmos(0) != second);
	cmos_set(11, b);
	cmos_set(10, a);
	outb(0xa1, 0xff);
	outb(0x21, 0xff);
}

/* ACPI 6.4, 5.2.5 to 5.2.9: RSDP, then RSDT or XSDT, then the FADT. */
static u8 sum(const u8 *p, u32 n)
{
	u8 s = 0;

	while (n--)
		s = (u8)(s + *p++);
	return s;
}

static int same(const u8 *p, const char *text, int n)
{
	for (int i = 0; i < n; i++)
		if (p[i] != (u8)text[i])
			return 0;
	return 1;
}

static void test_pm_timer(void)
{
	u8 *rsdp = NULL, *fadt = NULL;
	u8 *volatile from = (u8 *)0xe0000;

	for (u8 *p = from; p < (u8 *)0x100000 && !rsdp; p += 16)
		if (same(p, "RSD PTR ", 8) && !sum(p, 20))
			rsdp = p;
	check("RSDP", rsdp != NULL);
	if (!rsdp)
		return;
	int wide = rsdp[15] >= 2;
	u8 *sdt = (u8 *)(wide ? *(u64 *)(rsdp + 24) : *(u32 *)(rsdp + 16));
	u32 length = *(u32 *)(sdt + 4);
	check("its table's signature and checksum",
		same(sdt, wide ? "XSDT" : "RSDT", 4) && !sum(sdt, length));
	int madt = 0;
	for (u32 i = 36; i < length; i += wide ? 8 : 4) {
		u8 *t = (u8 *)(wide ? *(u64 *)(sdt + i) : *(u32 *)(sdt + i));

		if (same(t, "FACP", 4))
			fadt = t;
		madt |= same(t, "APIC", 4) && !sum(t, *(u32 *)(t + 4));
	}
	check("MADT", madt);
	check("FADT", fadt && !sum(fadt, *(u32 *)(fadt + 4)));
	if (!fadt)
		return;
	u16 port = (u16) * (u32 *)(fadt + 76);
	u32 a = inl(port), b;
	for (volatile int i = 0; i < 3000; i++)
		;
	b = inl(port);
	check("PM timer advances", ((b - a) & 0xffffff) != 0 && ((b - a) & 0xffffff) < 0x800000);
	/* against the PIT: 1193182 to 3579545 Hz is 1 to 3 */
	outb(0x61, (inb(0x61) & 0xfc) | 1);
	u32 best = 0xffffff;
	for (int i = 0; i < 5; i++) { /* the host may be busy: the shortest of several counts */
		pit_set(2, 0, 0xffff);
		a = inl(port);
		while (!(inb(0x61) & 0x20))
			;
		b = (inl(port) - a) & 0xffffff;
		best = b < best ? b : best;
	}
	check("PM timer runs at three times the PIT's rate",
		best > 196605 - 6000 && best < 196605 + 20000);
}

void guest_main(void)
{
	for (int i = 0x20; i < 0x30; i++)
		hooks[i] = on_pic;
	for (int i = 0x50; i < 0x53; i++)
		hooks[i] = on_tick;
	apic_enable();
	test_apic_timer();
	apic_write(0x350, 0x700); /* LINT0 as ExtINT: the PIC's way in */
	test_pit();
	test_rtc();
	test_pm_timer();
}
