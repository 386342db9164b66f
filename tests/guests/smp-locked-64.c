/* SPDX-License-Identifier: MIT */
/* Locked instructions of all processors on the same memory: nothing is lost (AMD64 volume 2, 7.3.2). */
#include "smp.h"

#define TURNS 20000
#define LINE_TURNS 100 /* hosts make these slow on purpose */
static volatile u64 counter, bits[4], pair[2] __attribute__((aligned(16)));
static volatile u8 bytes[8] __attribute__((aligned(8)));
static u8 pages[3 * 4096] __attribute__((aligned(4096)));
static volatile u32 wrong, holder;
static volatile u64 exchanged_in, exchanged_out, place;

#define EACH for (unsigned i = 0; i < TURNS; i++)
static void do_inc(unsigned cpu)
{
	EACH __asm__ volatile("lock incq %0" : "+m"(counter) : : "cc");
}
static void do_xadd(unsigned cpu)
{
	u64 last = 0;
	EACH
	{
		u64 v = 1;
		__asm__ volatile("lock xaddq %0, %1" : "+r"(v), "+m"(counter) : : "cc");
		wrong += i && v <= last;
		last = v;
	}
}
static void do_cmpxchg(unsigned cpu)
{
	EACH
	{
		u64 old = counter;
		while (!__atomic_compare_exchange_n(
			&counter, &old, old + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			;
	}
}
static void do_cmpxchg16b(unsigned cpu)
{
	EACH
	{
		u64 low = 0, high = 0;
		u8 equal;
		do {
			__asm__ volatile(
				"mov %%rax, %%rbx; mov %%rdx, %%rcx; add $1, %%rbx; sub $1, %%rcx; lock cmpxchg16b %1; setz %0"
				: "=q"(equal), "+m"(*(char(*)[16])pair), "+a"(low), "+d"(high)
				:
				: "rbx", "rcx", "cc", "memory");
			wrong += low + high != 0;
		} while (!equal);
	}
}
static void do_bts(unsigned cpu)
{
	for (unsigned round = 0; round < TURNS / 64; round++) {
		for (unsigned i = cpu; i < 256; i += smp_count()) {
			u8 was;
			__asm__ volatile("lock btsq %2, %1; setc %0"
					 : "=q"(was), "+m"(*(char(*)[32])bits)
					 : "r"((u64)i)
					 : "cc", "memory");
			wrong += was;
		}
		for (unsigned i = cpu; i < 256; i += smp_count()) {
			u8 was;
			__asm__ volatile("lock btrq %2, %1; setc %0"
					 : "=q"(was), "+m"(*(char(*)[32])bits)
					 : "r"((u64)i)
					 : "cc", "memory");
			wrong += !was;
		}
	}
}
/* Bytes of one quadword, each its own processor's, beside locked ones of the whole. */
static void do_sizes(unsigned cpu)
{
	EACH
	{
		if (i & 1)
			__asm__ volatile("lock incb %0" : "+m"(bytes[cpu]) : : "cc");
		else
			__asm__ volatile("lock xorq $0, %0"
					 : "+m"(*(volatile u64 *)bytes)
					 :
					 : "cc");
	}
}
/* A lock by XCHG around a plain increment. */
static void do_spinlock(unsigned cpu)
{
	EACH
	{
		while (__atomic_exchange_n(&holder, 1, __ATOMIC_SEQ_CST))
			__asm__ volatile("pause");
		counter++;
		*(volatile u32 *)&holder = 0;
	}
}
/* What goes in by XCHG comes out once. */
static void do_xchg(unsigned cpu)
{
	u64 in = 0, out = 0;
	EACH
	{
		u64 v = (u64)i << 8 | cpu;
		in += v;
		__asm__ volatile("xchgq %0, %1" : "+r"(v), "+m"(place) : : "memory");
		out += v;
	}
	__atomic_fetch_add(&exchanged_in, in, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&exchanged_out, out, __ATOMIC_SEQ_CST);
}
static void do_crossing_page(unsigned cpu)
{
	EACH __asm__ volatile("lock incq %0" : "+m"(*(volatile u64 *)(pages + 4093)) : : "cc");
}
static void do_crossing_page_xadd(unsigned cpu)
{
	EACH
	{
		u32 v = 1;
		__asm__ volatile("lock xaddl %0, %1"
				 : "+r"(v), "+m"(*(volatile u32 *)(pages + 8191))
				 :
				 : "cc");
	}
}
static void do_crossing_line(unsigned cpu)
{
	for (unsigned i = 0; i < LINE_TURNS; i++)
		__asm__ volatile("lock incq %0" : "+m"(*(volatile u64 *)(pages + 61)) : : "cc");
}
/* A bit string's word, far from its base. */
static void do_bts_far(unsigned cpu)
{
	EACH
	{
		u8 was;
		u64 bit = 8 * 2000 + cpu;
		__asm__ volatile("lock btcq %2, %1; setc %0"
				 : "=q"(was), "+m"(*(char(*)[4096])pages)
				 : "r"(bit)
				 : "cc", "memory");
		wrong += was != (i & 1);
	}
}

static void run(const char *name, void (*fn)(unsigned))
{
	counter = 0;
	wrong = 0;
	if (!smp_run(fn))
		check("all came back", 0);
	check(name, !wrong);
}

void guest_main(void)
{
	u64 all = (u64)TURNS * smp_count();
	value("processors", smp_count());
	check("all start", smp_start());
	run("inc", do_inc);
	check("its sum", counter == all);
	run("xadd goes up", do_xadd);
	check("its sum", counter == all);
	run("cmpxchg", do_cmpxchg);
	check("its sum", counter == all);
	run("cmpxchg16b: two halves together", do_cmpxchg16b);
	check("its sum", pair[0] == all && pair[1] == -all);
	run("bts and btr of one's own bits", do_bts);
	run("bytes beside locked quadwords", do_sizes);
	int good = 1;
	for (unsigned i = 0; i < smp_count(); i++)
		good &= bytes[i] == (u8)(TURNS / 2);
	check("their sums", good);
	run("a lock by xchg", do_spinlock);
	check("its sum", counter == all);
	run("xchg", do_xchg);
	check("its sums", exchanged_in == exchanged_out + place);
	run("inc across a page's end", do_crossing_page);
	check("its sum", *(volatile u64 *)(pages + 4093) == all);
	run("xadd across a page's end", do_crossing_page_xadd);
	check("its sum", *(volatile u32 *)(pages + 8191) == all);
	run("inc across a line's end", do_crossing_line);
	check("its sum", *(volatile u64 *)(pages + 61) == LINE_TURNS * smp_count());
	run("btc far from its base", do_bts_far);
}
