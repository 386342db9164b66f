/* SPDX-License-Identifier: MIT */
/* Interrupts between processors by xAPIC: destinations, shorthands, NMI, INIT (AMD64 volume 2, 16.5 and 16.6). */
#include "smp.h"

#define STORM 20000
static volatile u32 got[SMP_MAX], nmis[SMP_MAX], stop, counter[SMP_MAX], storm[SMP_MAX];
static int on_vector(struct frame *f)
{
	__atomic_fetch_add(&got[smp_self()], 1, __ATOMIC_SEQ_CST);
	smp_eoi();
	return 1;
}

static int on_nmi(struct frame *f)
{
	__atomic_fetch_add(&nmis[smp_self()], 1, __ATOMIC_SEQ_CST);
	return 1;
}

static int on_storm(struct frame *f)
{
	storm[smp_self()]++;
	smp_eoi();
	return 1;
}

/* Bits of the processors that got one; bit 31: some got more. Waits for `expected`, and a little for others. */
static u32 receivers(volatile u32 *counts, u32 expected)
{
	u32 set = 0;
	for (unsigned i = 0; i < smp_count(); i++)
		if (expected >> i & 1)
			WAIT_FOR(({
				__asm__ volatile("sti; nop; nop; cli" ::: "memory");
				counts[i];
			}));
	smp_delay(10);
	__asm__ volatile("sti; nop; nop; cli" ::: "memory");
	for (unsigned i = 0; i < smp_count(); i++) {
		set |= (u32) !!counts[i] << i | (u32)(counts[i] > 1) << 31;
		counts[i] = 0;
	}
	return set;
}

static void send(const char *name, u32 command, u32 destination, u32 expected)
{
	smp_ipi(ICR_ASSERT | command | 0x51, destination);
	print("%s: %x\n", name, (word)receivers(got, expected));
}

static u32 bits_of(u32 set)
{
	u32 count = 0;
	for (; set; set &= set - 1)
		count++;
	return count;
}

static void set_flat(unsigned cpu)
{
	apic_write(0xe0, 0xffffffff);
	apic_write(0xd0, 1u << (24 + cpu));
}

static void set_cluster(unsigned cpu)
{
	apic_write(0xe0, 0x0fffffff);
	apic_write(0xd0, (cpu >> 1) << 28 | 1u << (24 + (cpu & 1)));
}

static void count_up(unsigned cpu)
{
	__asm__ volatile("cli");
	while (!stop)
		counter[cpu]++;
}

/* Each sends itself one after the other, and the next one some; none may be lost, they are waited for. */
static void storm_self(unsigned cpu)
{
	for (u32 i = 0; i < STORM; i++) {
		u32 before = storm[cpu];
		smp_ipi(i & 1 ? ICR_SELF | ICR_ASSERT | 0x52 : ICR_ASSERT | 0x52, cpu);
		__asm__ volatile("sti; nop; cli" ::: "memory");
		if (storm[cpu] != before + 1)
			WAIT_FOR(({
				__asm__ volatile("sti; nop; cli" ::: "memory");
				storm[cpu] == before + 1;
			}));
	}
}

/* All to all with interrupts on: edges of one vector merge, so that the last one only must come. */
static void storm_all(unsigned cpu)
{
	__asm__ volatile("sti");
	for (u32 i = 0; i < STORM / 10; i++)
		smp_ipi(ICR_OTHERS | ICR_ASSERT | 0x51, 0);
	__asm__ volatile("cli");
	smp_barrier();
	got[cpu] = 0;
	__asm__ volatile("sti; nop; cli");
	smp_barrier();
	got[cpu] = 0;
	smp_barrier();
	if (!cpu)
		smp_ipi(ICR_ALL | ICR_ASSERT | 0x51, 0);
	__asm__ volatile("sti");
	WAIT_FOR(got[cpu] == 1);
	__asm__ volatile("cli");
}

void guest_main(void)
{
	hooks[0x51] = on_vector;
	hooks[0x52] = on_storm;
	hooks[NMI] = on_nmi;
	unsigned count = smp_count();
	value("processors", count);
	check("all start", smp_start());
	send("to 1", 0, 1, 0x2);
	send("to 3", 0, 3, 0x8);
	send("to itself by number", 0, 0, 0x1);
	send("to 9, which is none", 0, 9, 0x0);
	send("to all by destination", 0, 0xff, 0xf);
	send("all", ICR_ALL, 0, 0xf);
	send("others", ICR_OTHERS, 0, 0xe);
	send("self", ICR_SELF, 0, 0x1);
	smp_run(set_flat);
	send("flat, 1 and 2", ICR_LOGICAL, 6, 0x6);
	send("flat, 0 and 3", ICR_LOGICAL, 9, 0x9);
	send("flat, all", ICR_LOGICAL, 0xff, 0xf);
	send("flat, none", ICR_LOGICAL, 0x10, 0x0);
	smp_ipi(ICR_ASSERT | ICR_LOGICAL | ICR_LOWEST | 0x51, 0xe);
	value("lowest priority, so many of 1, 2 and 3", bits_of(receivers(got, 0)));
	smp_run(set_cluster);
	send("cluster 0, both", ICR_LOGICAL, 0x03, 0x3);
	send("cluster 1, the second", ICR_LOGICAL, 0x12, 0x8);
	send("cluster 2", ICR_LOGICAL, 0x23, 0x0);
	smp_run(set_flat);
	smp_ipi(ICR_ASSERT | ICR_NMI, 2);
	print("NMI to a sleeping one: %x\n", (word)receivers(nmis, 4));
	smp_ipi(ICR_OTHERS | ICR_ASSERT | ICR_NMI, 0);
	print("NMI to others: %x\n", (word)receivers(nmis, 0xe));
	check("all run", smp_run(set_flat));
	smp_go(count_up);
	WAIT_FOR(counter[1] && counter[2] && counter[3]);
	smp_ipi(ICR_OTHERS | ICR_ASSERT | ICR_NMI, 0);
	print("NMI to running ones with IF 0: %x\n", (word)receivers(nmis, 0xe));
	send("interrupt to running ones with IF 0", ICR_OTHERS, 0, 0x0);
	smp_ipi(ICR_ASSERT | ICR_INIT, 2);
	u32 two, one, looks = 50; /* a busy host may be slow to run it at all, and so to stop it */
	do {
		two = counter[2], one = counter[1];
		smp_delay(20);
	} while (counter[2] != two && --looks);
	check("INIT stops a running one", counter[2] == two);
	check("the others run on", WAIT_FOR(counter[1] != one));
	stop = 1;
	check("and end", WAIT_FOR(got[1] && got[3]));
	check("the stopped one starts again", smp_start_one(2, SMP_TRAMPOLINE));
	u32 late = receivers(got, 0xa);
	print("the interrupt came when they slept again: %x\n", (word)late);
	check("all run again", smp_run(set_flat));
	check("storm to themselves", smp_run(storm_self));
	int all = 1;
	for (unsigned i = 0; i < count; i++)
		all &= storm[i] == STORM;
	check("each of them came", all);
	check("storm to all", smp_run(storm_all));
	all = 1;
	for (unsigned i = 0; i < count; i++)
		all &= got[i] == 1;
	check("and after it one each", all);
}
