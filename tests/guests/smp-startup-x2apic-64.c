/* SPDX-License-Identifier: MIT */
/* Processors started and told by x2APIC's wide destinations (Intel volume 3, 11.12). */
#include "smp.h"

static volatile u32 got[SMP_MAX], id_right, ldr_right;
static int on_vector(struct frame *f)
{
	__atomic_fetch_add(&got[smp_self()], 1, __ATOMIC_SEQ_CST);
	smp_eoi();
	return 1;
}

static void note(unsigned cpu)
{
	if (msr_get(0x802) == cpu)
		__atomic_fetch_add(&id_right, 1, __ATOMIC_SEQ_CST);
	if (msr_get(0x80d) == ((u64)(cpu >> 4) << 16 | 1u << (cpu & 15)))
		__atomic_fetch_add(&ldr_right, 1, __ATOMIC_SEQ_CST);
}

/* Bits of the processors that got one; bit 31: some got more. Waits for `expected`, and a little for others. */
static u32 receivers(u32 expected)
{
	u32 set = 0;
	for (unsigned i = 0; i < smp_count(); i++)
		if (expected >> i & 1)
			WAIT_FOR(({
				__asm__ volatile("sti; nop; nop; cli" ::: "memory");
				got[i];
			}));
	smp_delay(10);
	__asm__ volatile("sti; nop; nop; cli" ::: "memory");
	for (unsigned i = 0; i < smp_count(); i++) {
		set |= (u32) !!got[i] << i | (u32)(got[i] > 1) << 31;
		got[i] = 0;
	}
	return set;
}

static void send(const char *name, u32 command, u32 destination, u32 expected)
{
	smp_ipi(ICR_ASSERT | command | 0x51, destination);
	print("%s: %x\n", name, (word)receivers(expected));
}

void guest_main(void)
{
	if (!HAS_X2APIC)
		skip("no x2APIC");
	apic_enable();
	msr_set(0x1b, msr_get(0x1b) | 0xc00);
	smp_x2apic = 1;
	hooks[0x51] = on_vector;
	value("processors", smp_count());
	check("all start", smp_start());
	check("all run", smp_run(note));
	check("id", id_right == smp_count());
	check("ldr", ldr_right == smp_count());
	send("to 3", 0, 3, 0x8);
	send("to 19", 0, 19, 0x80000);
	send("to 255, which is none", 0, 255, 0x0);
	send("to all by destination", 0, 0xffffffff, 0xfffff);
	send("all", ICR_ALL, 0, 0xfffff);
	send("others", ICR_OTHERS, 0, 0xffffe);
	send("self", ICR_SELF, 0, 0x1);
	send("logical, cluster 0, 1 and 4", ICR_LOGICAL, 0x12, 0x12);
	send("logical, cluster 1, 17 and 19", ICR_LOGICAL, 0x1000a, 0xa0000);
	send("logical, cluster 2", ICR_LOGICAL, 0x2ffff, 0x0);
	check("one by one", smp_start_one(5, 0x9000) && smp_start_one(18, 0x9000));
	check("all run again", smp_run(note));
}
