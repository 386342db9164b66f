/* SPDX-License-Identifier: MIT */
/* 32 processors start by INIT and SIPI, to all at once and one by one (Intel volume 3, 8.4; AMD64 volume 2, 14.1.3). */
#include "smp.h"

static volatile u32 ran[SMP_MAX], sum;
static void note(unsigned cpu)
{
	ran[cpu]++;
	__atomic_fetch_add(&sum, cpu, __ATOMIC_SEQ_CST);
}

static void facts(const char *name, unsigned from)
{
	int cs = 1, ip = 1, flags = 1, cr0 = 1, edx = 1;
	u32 r[4];
	cpuid(1, 0, r);
	for (unsigned i = from; i < smp_count(); i++) {
		struct smp_start *s = &smp_starts[i];
		cs &= s->cs == smp_starts[from].cs;
		ip &= s->ip == 0;
		flags &= s->flags == 2;
		cr0 &= (s->cr0 & ~0x60000000u) == 0x10;
		edx &= s->edx == r[0];
	}
	print("%s: cs %x\n", name, (word)smp_starts[from].cs);
	check("each at the same cs, at 0", cs && ip);
	check("flags 2", flags);
	check("cr0 without all but ET, CD and NW", cr0);
	check("edx is the signature", edx);
}

void guest_main(void)
{
	unsigned count = smp_count();
	value("processors", count);
	check("bootstrap processor", msr_get(0x1b) & 0x100);
	value("its number", smp_self());
	check("none runs by itself", !smp_starts[1].count);
	check("all start", smp_start());
	int once = 1, all = 1;
	for (unsigned i = 1; i < count; i++)
		once &= smp_starts[i].count == 1;
	check("each once, for two SIPIs", once);
	facts("after INIT to all others", 1);
	check("all run", smp_run(note));
	for (unsigned i = 0; i < count; i++)
		all &= ran[i] == 1;
	check("each once", all);
	value("sum of numbers", sum);
	for (unsigned i = 1; i < count; i++)
		all &= smp_start_one(i, i & 1 ? 0x9000 : 0x7000);
	check("one by one", all);
	value("odd ones at cs", smp_starts[count - 1].cs);
	value("even ones at cs", smp_starts[count - 2].cs);
	for (unsigned i = 1; i < count; i++)
		once &= smp_starts[i].count == 2;
	check("each once more", once);
	check("all run again", smp_run(note));
	value("sum of numbers", sum);
	smp_ipi(ICR_ASSERT | ICR_SIPI | 8, 1);
	smp_delay(20);
	check("SIPI to a running one is nothing", smp_starts[1].count == 2);
	smp_ipi(ICR_OTHERS | ICR_ASSERT | ICR_INIT, 0);
	smp_delay(20);
	smp_ipi(ICR_OTHERS | ICR_ASSERT | ICR_FIXED | SMP_WAKE, 0);
	smp_delay(20);
	check("an interrupt does not start them", smp_starts[1].count == 2);
	smp_ipi(ICR_OTHERS | ICR_ASSERT | ICR_SIPI | 8, 0);
	all = 1;
	for (unsigned i = 1; i < count; i++)
		all &= smp_wait_started(i, 3);
	check("but another SIPI", all);
	check("and all run", smp_run(note));
	value("sum of numbers", sum);
}
