/* SPDX-License-Identifier: MIT */
/* TSC_ADJUST (Intel volume 3, 17.17.3): writing what it holds moves no processor's time against another's. */
#include "smp.h"

#define TURNS 100000
static volatile u64 last __attribute__((aligned(64)));
static volatile u32 back __attribute__((aligned(64)));
static volatile u32 lock __attribute__((aligned(64)));
static volatile u64 adjust[SMP_MAX];

static void compare(unsigned cpu)
{
	for (u32 i = 0; i < TURNS; i++) {
		while (__atomic_exchange_n(&lock, 1, __ATOMIC_SEQ_CST))
			__asm__ volatile("pause");
		u64 before = last;
		__asm__ volatile("lfence" ::: "memory");
		u64 now = rdtsc();
		last = now;
		__atomic_store_n(&lock, 0, __ATOMIC_SEQ_CST);
		if (now < before)
			__atomic_fetch_add(&back, 1, __ATOMIC_SEQ_CST);
	}
}

static void read_adjust(unsigned cpu)
{
	adjust[cpu] = msr_get(0x3b);
}

/* Writing what is there moves nothing. */
static void write_adjust(unsigned cpu)
{
	for (unsigned i = 0; i < 1000; i++)
		msr_set(0x3b, adjust[cpu]);
}

static void move_there(unsigned cpu)
{
	for (unsigned i = 0; i < 100 && cpu; i++) {
		msr_set(0x3b, adjust[cpu] + 1000000000);
		msr_set(0x3b, adjust[cpu]);
	}
}

void guest_main(void)
{
	if (!cpuid_has(7, 1, 1))
		skip("no TSC_ADJUST");
	value("processors", smp_count());
	check("all start", smp_start());
	smp_run(read_adjust);
	int same = 1;
	for (unsigned i = 0; i < smp_count(); i++)
		same &= adjust[i] == adjust[0];
	check("all are adjusted alike", same);
	smp_run(write_adjust);
	smp_run(compare);
	check("none goes back after writing its adjustment", !back);
	smp_run(move_there);
	last = 0;
	smp_run(compare);
	check("nor after moving it there and back", !back);
}
