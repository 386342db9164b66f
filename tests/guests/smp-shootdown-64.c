/* SPDX-License-Identifier: MIT */
/*
 * A page is mapped elsewhere while others use it: once they have acknowledged the interrupt that told them, none sees the old one
 * (Intel volume 3, 4.10.5; AMD64 volume 2, 5.5.3). Accessed and dirty bits that two set at once beside other bits are not lost.
 */
#include "smp.h"

#define ROUNDS 150
#define VA 0x40000000ul /* 2 MiB mapped by 4 KiB pages of its own */
extern u64 page_directories[2048];
static u64 *table;
static u8 *frames[2];
static volatile u64 *entry;
static volatile u32 acknowledged, told, stale, stop, round_now, seen[SMP_MAX], lost, done_round;

static int on_shootdown(struct frame *f)
{
	invlpg(VA);
	__atomic_fetch_or(&told, 1u << smp_self(), __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&acknowledged, 1, __ATOMIC_SEQ_CST);
	smp_eoi();
	return 1;
}

/* Frame i holds i; nobody may find the number of a frame that is mapped no more. */
static void reader(unsigned cpu)
{
	__asm__ volatile("sti");
	while (!stop) {
		u32 before = round_now;
		u32 found = *(volatile u32 *)VA;
		barrier();
		/* even: the mapping is settled; odd: it is being changed */
		if (!(before & 1) && before == round_now && found != (before >> 1 & 1))
			__atomic_fetch_add(&stale, 1, __ATOMIC_SEQ_CST);
		seen[cpu]++;
	}
	__asm__ volatile("cli");
}

static void wait_for_readers(void)
{
	for (unsigned i = 1; i < smp_count(); i++) {
		u32 at = seen[i];
		WAIT_FOR(seen[i] != at);
	}
}

static int remap(u32 round)
{
	__atomic_store_n(&round_now, 2 * round - 1, __ATOMIC_SEQ_CST);
	*entry = (u64)frames[round & 1] | 3;
	invlpg(VA);
	acknowledged = 0;
	smp_ipi(ICR_OTHERS | ICR_ASSERT | 0x53, 0);
	if (!WAIT_FOR(acknowledged == smp_count() - 1))
		return 0;
	__atomic_store_n(&round_now, 2 * round, __ATOMIC_SEQ_CST);
	return 1;
}

/* Writers: what goes to a frame after its shootdown would be a store through an old entry. */
static void writer(unsigned cpu)
{
	cr0_set(cr0_get() | CR0_WP);
	__asm__ volatile("sti");
	while (!stop) {
		((volatile u32 *)VA)[16 * cpu]++;
		seen[cpu]++;
	}
	__asm__ volatile("cli");
}

static int is_quiet(const u8 *frame)
{
	u32 sum[SMP_MAX];
	for (unsigned i = 1; i < smp_count(); i++)
		sum[i] = ((const volatile u32 *)frame)[16 * i];
	wait_for_readers();
	for (unsigned i = 1; i < smp_count(); i++)
		if (((const volatile u32 *)frame)[16 * i] != sum[i])
			return 0;
	return 1;
}

/* Two processors touch a fresh page at once, one reads, one writes; a third sets another bit of the entry by a locked instruction. */
#define MARKS 60
static void marker(unsigned cpu)
{
	for (u32 i = 1; i <= MARKS; i++) {
		if (!cpu) {
			*entry = (u64)frames[0] | 3;
			done_round = 0;
			__atomic_store_n(&round_now, i, __ATOMIC_SEQ_CST);
			WAIT_FOR(done_round == smp_count() - 1);
			u64 want = 0x63 | (smp_count() > 3 ? 0x200 : 0);
			if ((*entry & 0xfff) != want || *entry >> 12 != (u64)frames[0] >> 12)
				lost++;
			continue;
		}
		WAIT_FOR(round_now == i);
		invlpg(VA);
		if (cpu == 1)
			*(volatile u8 *)(VA + 64);
		else if (cpu == 2)
			*(volatile u8 *)(VA + 128) = 1;
		else if (cpu == 3)
			__asm__ volatile("lock orq $0x200, %0" : "+m"(*entry) : : "cc");
		__atomic_fetch_add(&done_round, 1, __ATOMIC_SEQ_CST);
	}
}

/* Write-protect: after the acknowledged interrupt no store comes through. */
static int on_fault(struct frame *f)
{
	u64 at;
	__asm__ volatile("mov %%cr2, %0" : "=r"(at));
	if (at < VA || at >= VA + 4096)
		return 0;
	u32 bit = 1u << smp_self();
	/* the entry may allow it again already, else wait for that; maybe through several rounds */
	WAIT_FOR(({
		__atomic_fetch_or(&told, bit, __ATOMIC_SEQ_CST);
		*entry & 2;
	}));
	invlpg(VA);
	return 1;
}

void guest_main(void)
{
	table = page_alloc();
	frames[0] = page_alloc();
	frames[1] = page_alloc();
	entry = &table[0];
	page_directories[VA >> 21] = (u64)table | 3;
	*(volatile u32 *)frames[1] = 1;
	*entry = (u64)frames[0] | 3;
	cr3_set(cr3_get());
	hooks[0x53] = on_shootdown;
	hooks[PF] = on_fault;
	value("processors", smp_count());
	check("all start", smp_start());
	smp_go(reader);
	wait_for_readers();
	int good = 1;
	for (u32 round = 1; good && round <= ROUNDS; round++)
		good = remap(round);
	stop = 1;
	check("every shootdown is acknowledged", good);
	check("readers end", smp_join());
	check("no stale reads", !stale);
	stop = 0;
	smp_go(writer);
	wait_for_readers();
	for (u32 round = 1, last = 0; good && round <= 20; round++) {
		good = remap(round) && is_quiet(frames[last]);
		last = round & 1;
	}
	check("no stores to a page that was unmapped", good);
	for (u32 i = 0; good && i < 20; i++) {
		*entry = (*entry & ~0x42ul) | 1;
		acknowledged = told = 0;
		smp_ipi(ICR_OTHERS | ICR_ASSERT | 0x53, 0);
		/* those that wait in the fault have IF 0: their acknowledgement comes later */
		good = WAIT_FOR(told == (1u << smp_count()) - 2);
		u8 *frame = (u8 *)(*entry & ~0xffful);
		u32 sum = 0, again = 0;
		smp_delay(1);
		for (unsigned k = 1; k < smp_count(); k++)
			sum += ((volatile u32 *)frame)[16 * k];
		smp_delay(1);
		for (unsigned k = 1; k < smp_count(); k++)
			again += ((volatile u32 *)frame)[16 * k];
		good &= sum == again;
		*entry |= 2;
		good &= WAIT_FOR(acknowledged == smp_count() - 1);
	}
	check("no stores to a page that was protected", good);
	stop = 1;
	check("writers end", smp_join());
	round_now = 0;
	check("marking", smp_run(marker));
	check("no accessed, dirty or other bit is lost", !lost);
}
