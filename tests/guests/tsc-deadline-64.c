/* SPDX-License-Identifier: MIT */
/* The APIC timer's TSC-deadline mode (Intel volume 3, 11.5.4.1). */
#include "guest.h"

static volatile unsigned ticks;
static int on_tick(struct frame *f)
{
	ticks++;
	apic_write(0xb0, 0);
	return 1;
}

static int wait_tick(void)
{
	u64 limit = 2000000000ull;

	__asm__ volatile("sti");
	while (!ticks && limit--)
		__asm__ volatile("pause" ::: "memory");
	__asm__ volatile("cli");
	return ticks != 0;
}

static void window(void)
{
	for (volatile int i = 0; i < 3000; i++)
		;
	__asm__ volatile("sti; nop; nop; cli" ::: "memory");
}

#define DEADLINE 0x6e0
#define FAR (1ull << 62)

void guest_main(void)
{
	if (!HAS_TSC_DEADLINE)
		skip("no TSC deadline");
	hooks[0x53] = on_tick;
	apic_enable();
	msr_set(DEADLINE, FAR);
	value("in another mode the deadline reads as", (word)msr_get(DEADLINE));
	apic_write(0x320, 0x40000 | 0x53);
	value("in its own mode, not armed", (word)msr_get(DEADLINE));
	apic_write(0x380, 1000);
	value("initial count is not written", apic_read(0x380));
	value("current count", apic_read(0x390));
	msr_set(DEADLINE, FAR);
	value("a far deadline is read back", (word)msr_get(DEADLINE));
	window();
	value("ticks before it", ticks);
	u64 deadline = rdtsc() + 1000000;
	msr_set(DEADLINE, deadline);
	check("deadline", wait_tick());
	check("not before it", rdtsc() >= deadline);
	value("the deadline afterwards", (word)msr_get(DEADLINE));
	window();
	value("ticks in all", ticks);
	ticks = 0;
	msr_set(DEADLINE, 1);
	check("a deadline in the past", wait_tick());
	ticks = 0;
	msr_set(DEADLINE, FAR);
	msr_set(DEADLINE, 0);
	value("disarmed", (word)msr_get(DEADLINE));
	/* while masked it goes by, and raises nothing later */
	apic_write(0x320, 0x50000 | 0x53);
	msr_set(DEADLINE, rdtsc() + 10);
	window();
	value("gone by while masked", (word)msr_get(DEADLINE));
	apic_write(0x320, 0x40000 | 0x53);
	window();
	value("ticks after unmasking", ticks);
	/* leaving the mode disarms */
	msr_set(DEADLINE, FAR);
	apic_write(0x320, 0x10000 | 0x53);
	apic_write(0x320, 0x40000 | 0x53);
	value("disarmed by another mode", (word)msr_get(DEADLINE));
	apic_write(0x320, 0x10000 | 0x53);
}
