/* SPDX-License-Identifier: MIT */
/* HLT against interrupts from others: no wake-up is lost, however close (AMD64 volume 3, HLT and STI). */
#include "smp.h"

#define TURNS 4000
static volatile u32 turn, inits, stop, ticks[SMP_MAX];

static int on_vector(struct frame *f)
{
	smp_eoi();
	return 1;
}

static int on_tick(struct frame *f)
{
	ticks[smp_self()]++;
	smp_eoi();
	return 1;
}

static void nap_until(u32 mine)
{
	/* checked with IF 0; STI's shadow holds the interrupt off until HLT */
	while (turn % smp_count() != mine && turn < TURNS)
		__asm__ volatile("sti; hlt; cli" ::: "memory");
}

/* The turn goes round; each sleeps until it is its own. */
static void pass_on(unsigned cpu)
{
	__asm__ volatile("cli");
	while (turn < TURNS) {
		nap_until(cpu);
		if (turn >= TURNS)
			break;
		turn++;
		unsigned next = turn % smp_count();
		if (turn >= TURNS)
			smp_ipi(ICR_OTHERS | ICR_ASSERT | 0x55, 0);
		else
			smp_ipi(ICR_ASSERT | 0x55, next);
	}
}

/* Sleeps with IF 0, woken by NMI only. */
static volatile u32 nmi_turn;
static int on_nmi(struct frame *f)
{
	if (smp_self())
		nmi_turn++;
	return 1;
}

static void nap_nmi(unsigned cpu)
{
	__asm__ volatile("cli");
	while (cpu == 1 && !stop)
		__asm__ volatile("hlt" ::: "memory");
}

/* Each its own timer, many short ones, with HLT between. */
static void timers(unsigned cpu)
{
	__asm__ volatile("cli");
	apic_write(0x3e0, 0xb);
	apic_write(0x320, 0x56);
	for (u32 i = 0; i < 1000; i++) {
		u32 before = ticks[cpu];
		apic_write(0x380, 1 + i * 7 % 5000);
		while (ticks[cpu] == before)
			__asm__ volatile("sti; hlt; cli" ::: "memory");
	}
	apic_write(0x320, 0x10000);
}

void guest_main(void)
{
	hooks[0x55] = on_vector;
	hooks[0x56] = on_tick;
	hooks[NMI] = on_nmi;
	value("processors", smp_count());
	check("all start", smp_start());
	check("the turn goes round", smp_run(pass_on));
	value("turns", turn);
	check("each its own timer", smp_run(timers));
	smp_go(nap_nmi);
	int good = 1;
	for (u32 i = 0; good && i < 500; i++) {
		u32 before = nmi_turn;
		smp_ipi(ICR_ASSERT | ICR_NMI, 1);
		good = WAIT_FOR(nmi_turn == before + 1);
	}
	check("NMI wakes it with IF 0", good);
	stop = 1;
	smp_ipi(ICR_ASSERT | ICR_NMI, 1);
	check("and it ends", smp_join());
	/* INIT and SIPI at every time of its life */
	u32 seed = 1;
	for (u32 i = 0; good && i < 200; i++) {
		for (volatile u32 k = random_next(&seed) & 1023; k; k--)
			;
		smp_ipi(ICR_ASSERT | 0x55, 1);
		smp_ipi(ICR_ASSERT | 0x55, 1);
		u32 before = smp_starts[1].count;
		smp_ipi(ICR_ASSERT | ICR_INIT, 1);
		smp_ipi(ICR_ASSERT | ICR_SIPI | SMP_TRAMPOLINE >> 12, 1);
		good = smp_wait_started(1, before + 1);
	}
	check("INIT while it takes interrupts", good);
	turn = 0;
	check("the turn goes round again", smp_run(pass_on));
}
