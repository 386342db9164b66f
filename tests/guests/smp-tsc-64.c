/* SPDX-License-Identifier: MIT */
/* One time for all: what one processor has read is never later than what another reads after it (Intel volume 3, 17.17). */
#include "smp.h"

#define TURNS 100000
static volatile u64 last __attribute__((aligned(64)));
static volatile u32 back __attribute__((aligned(64)));
static volatile u32 lock __attribute__((aligned(64)));

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

void guest_main(void)
{
	value("processors", smp_count());
	check("all start", smp_start());
	check("turns", smp_run(compare));
	check("none goes back", !back);
}
