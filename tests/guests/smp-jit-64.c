/* SPDX-License-Identifier: MIT */
/*
 * Processors that make code, run it, and hand it to each other, all in the same two pages (Intel volume 3, 8.1.3; AMD64 volume 2,
 * 7.6.1). A processor's own stores it executes after a jump; another's after being told and serializing; and an aligned store of
 * eight bytes is fetched whole or not at all. SECONDS a test: make GUEST_SECONDS=60 for longer.
 */
#include "smp.h"

#ifndef SECONDS
#define SECONDS 1
#endif

#define SLOTS 128
#define SLOT_BYTES \
	56 /* so that neighbours share 64-byte lines, and one lies across the pages' border */

static u8 code[2 * 4096] __attribute__((aligned(4096)));
static volatile u32 wrong, made[SMP_MAX], stop;
/* 0: free; else who holds it, from 1 on, or READY: it may be run. */
#define READY 0xff
static volatile u32 states[SLOTS], expected[SLOTS];

static u8 *slot_code(unsigned slot)
{
	return code + 256 + slot * SLOT_BYTES;
}

static u32 call(u8 *at)
{
	u32 v = 0;
	__asm__ volatile("call *%1" : "+a"(v) : "r"(at) : "rcx", "rdx", "memory", "cc");
	return v;
}

static u8 *put_operation(u8 *at, u8 opcode, u32 operand)
{
	*at++ = opcode;
	for (unsigned i = 0; i < 4; i++)
		*at++ = (u8)(operand >> 8 * i);
	return at;
}

/* A function of one to seven operations on EAX; what it returns. */
static u32 make_function(u8 *at, u32 *random)
{
	unsigned count = 1 + random_next(random) % 7;
	u32 v = random_next(random);
	at = put_operation(at, 0xb8, v); /* mov */
	while (--count) {
		u32 operand = random_next(random);
		switch (operand >> 30) {
		case 0:
			at = put_operation(at, 0x05, operand); /* add */
			v += operand;
			break;
		case 1:
			at = put_operation(at, 0x35, operand); /* xor */
			v ^= operand;
			break;
		case 2:
			at = put_operation(at, 0x2d, operand); /* sub */
			v -= operand;
			break;
		case 3:
			*at++ = 0xeb; /* jmp over a byte that is no instruction */
			*at++ = 1;
			*at++ = 0x06;
			break;
		}
	}
	*at = 0xc3;
	return v;
}

static void count_wrong(u32 is, u32 should_be)
{
	if (is != should_be)
		__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
}

static void own_code(unsigned cpu)
{
	u64 end = rdtsc() + smp_ticks(SECONDS * 1000);
	u32 random = 0x9e3779b9u * (cpu + 1);
	for (u32 i = 0; (long)(end - rdtsc()) > 0; i++) {
		u8 *at = slot_code((i % (SLOTS / SMP_MAX)) * SMP_MAX + cpu);
		u32 v = make_function(at, &random);
		/* More than once, so that an engine finds it worth its while. */
		for (unsigned k = random % 40; k; k--)
			count_wrong(call(at), v);
		made[cpu]++;
	}
}

static void serialize(u32 how)
{
	u32 r[4];
	if (how % 3 == 0)
		cpuid(0, 0, r);
	else if (how % 3 == 1)
		cr3_set(cr3_get());
	else
		__asm__ volatile(
			"mov %%ss, %%eax; push %%rax; lea 8(%%rsp), %%rax; push %%rax; pushf; mov %%cs, %%eax; push %%rax; push $1f; iretq; 1:" ::
				: "rax", "memory");
}

static int state_take(unsigned slot, u32 from, unsigned cpu)
{
	return __atomic_compare_exchange_n(
		&states[slot], &from, cpu + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Whoever finds a free place makes something there; whoever finds something runs it. */
static void handed_over(unsigned cpu)
{
	u64 end = rdtsc() + smp_ticks(SECONDS * 1000);
	u32 random = 0x85ebca6bu * (cpu + 1);
	while ((long)(end - rdtsc()) > 0) {
		unsigned slot = random_next(&random) % SLOTS;
		if (state_take(slot, 0, cpu)) {
			expected[slot] = make_function(slot_code(slot), &random);
			__atomic_store_n(&states[slot], READY, __ATOMIC_RELEASE);
			made[cpu]++;
		} else if (state_take(slot, READY, cpu)) {
			serialize(random);
			for (unsigned k = 1 + random % 20; k; k--)
				count_wrong(call(slot_code(slot)), expected[slot]);
			__atomic_store_n(&states[slot], 0, __ATOMIC_RELEASE);
		}
	}
}

/* mov $0x11111111, %eax; ret  and  sub $0x22222222, %eax; ret, EAX being 0: a mixture of them gives something else. */
static void whole_stores(unsigned cpu)
{
	static const u64 texts[] = {0x9090c311111111b8, 0x9090c3222222222d};
	volatile u64 *at = (volatile u64 *)code;
	u64 end = rdtsc() + smp_ticks(SECONDS * 1000);
	for (u32 i = 0; cpu == 0 && (long)(end - rdtsc()) > 0; i++) {
		*at = texts[i & 1];
		for (volatile unsigned k = i % 512 ? 0 : 2000; k; k--)
			;
		made[0]++;
	}
	stop |= cpu == 0;
	while (!stop) {
		u32 v = call(code);
		if (v != 0x11111111 && v != 0xddddddde)
			__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
		made[cpu]++;
	}
}

static void run(const char *name, void (*fn)(unsigned))
{
	wrong = stop = 0;
	for (unsigned i = 0; i < SMP_MAX; i++)
		made[i] = 0;
	int good = smp_run(fn);
	for (unsigned i = 0; i < smp_count(); i++)
		good &= made[i] > 0;
	check(name, good && !wrong);
	if (wrong)
		print("%d times wrong\n", (int)wrong);
}

void guest_main(void)
{
	check("all start", smp_start());
	run("each runs what it has just made", own_code);
	run("each runs what others have made, told and serialized", handed_over);
	*(volatile u64 *)code = 0x9090c311111111b8;
	run("not serialized: a store is seen whole or not at all", whole_stores);
}
