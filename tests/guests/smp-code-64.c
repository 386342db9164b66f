/* SPDX-License-Identifier: MIT */
/*
 * Code that one processor changes and others run (Intel volume 3, 8.1.3; AMD64 volume 2, 7.6.1). With the protocol (write, tell,
 * serialize, run) the new code runs; without it the old or the new, nothing else. SECONDS a test.
 */
#include "smp.h"

#ifndef SECONDS
#define SECONDS 1
#endif
static u8 code[4 * 4096] __attribute__((aligned(4096)));
static volatile u32 told, stop, wrong, runs[SMP_MAX], acknowledged, published;

/* mov $value, %eax; ret: the immediate is aligned, so that a store of it is one. */
static u8 *function_at(unsigned offset, u32 v)
{
	u8 *at = code + (offset & ~3u) + 3;
	at[0] = 0xb8;
	*(u32 *)(at + 1) = v;
	at[5] = 0xc3;
	return at;
}

static u32 call(u8 *at)
{
	u32 v;
	__asm__ volatile("call *%1" : "=a"(v) : "r"(at) : "rcx", "rdx", "memory", "cc");
	return v;
}

static void serialize_cpuid(void)
{
	u32 r[4];
	cpuid(0, 0, r);
}

static void serialize_iret(void)
{
	__asm__ volatile(
		"mov %%ss, %%eax; push %%rax; lea 8(%%rsp), %%rax; push %%rax; pushf; mov %%cs, %%eax; push %%rax; push $1f; iretq; 1:" ::
			: "rax", "memory");
}

static void serialize_cr3(void)
{
	cr3_set(cr3_get());
}

static u8 *target;
static void (*serialize)(void);

/* Told by memory: the writer goes on whether or not all have seen it. */
static void follow(unsigned cpu)
{
	u64 end = rdtsc() + smp_ticks(SECONDS * 1000);
	if (!cpu) {
		for (u32 i = 1; (long)(end - rdtsc()) > 0; i++) {
			*(volatile u32 *)(target + 1) = i;
			barrier();
			told = i;
			if (i % 64 == 0)
				for (volatile unsigned k = 0; k < (i & 1023); k++)
					;
		}
		stop = 1;
		return;
	}
	while (!stop) {
		u32 at_least = told;
		serialize();
		u32 v = call(target);
		if ((int)(v - at_least) < 0)
			__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
		runs[cpu]++;
	}
}

/* No serialization: values never go back by more than what is there, and are whole. */
static void unsynchronised(unsigned cpu)
{
	u64 end = rdtsc() + smp_ticks(SECONDS * 1000);
	if (!cpu) {
		for (u32 i = 1; (long)(end - rdtsc()) > 0; i++)
			*(volatile u32 *)(target + 1) = i & 1 ? 0x11111111 : 0xeeeeeeee;
		stop = 1;
		return;
	}
	while (!stop) {
		u32 v = call(target);
		if (v != 0x11111111 && v != 0xeeeeeeee)
			__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
		runs[cpu]++;
	}
}

/* The whole instruction changes, by the way of kernels: a breakpoint first, all told by interrupt, then the rest, then its first byte. */
static int on_sync(struct frame *f)
{
	serialize_cpuid();
	__atomic_fetch_add(&acknowledged, 1, __ATOMIC_SEQ_CST);
	smp_eoi();
	return 1;
}

static volatile u32 breakpoints;
static int on_breakpoint(struct frame *f)
{
	if (f->ip - 1 != (word)target)
		return 0;
	__atomic_fetch_add(&breakpoints, 1, __ATOMIC_SEQ_CST);
	f->ip = (word)target + 5; /* as if it were a NOP of five bytes */
	f->ax = 3;
	return 1;
}

static int sync_all(void)
{
	acknowledged = 0;
	smp_ipi(ICR_OTHERS | ICR_ASSERT | 0x54, 0);
	return WAIT_FOR(acknowledged == smp_count() - 1);
}

static void patch(unsigned cpu)
{
	u64 end = rdtsc() + smp_ticks(SECONDS * 1000);
	if (!cpu) {
		/* mov $1, %eax and xor %eax, %eax with a NOP of three bytes */
		static const u8 texts[2][5] = {{0xb8, 1, 0, 0, 0}, {0x31, 0xc0, 0x0f, 0x1f, 0x00}};
		for (u32 i = 1; (long)(end - rdtsc()) > 0; i++) {
			const u8 *text = texts[i & 1];
			*(volatile u8 *)target = 0xcc;
			if (!sync_all())
				break;
			for (unsigned k = 1; k < 5; k++)
				((volatile u8 *)target)[k] = text[k];
			if (!sync_all())
				break;
			*(volatile u8 *)target = text[0];
			if (!sync_all())
				break;
			__atomic_store_n(&published, (i & 1) ? 0 : 1, __ATOMIC_SEQ_CST);
			__atomic_store_n(&told, i, __ATOMIC_SEQ_CST);
			for (volatile unsigned k = 0; k < 200; k++)
				;
			__atomic_store_n(&told, 0, __ATOMIC_SEQ_CST);
		}
		stop = 1;
		return;
	}
	__asm__ volatile("sti");
	while (!stop) {
		u32 before = told, want = published;
		u32 v = call(target);
		if (v != 0 && v != 1 && v != 3)
			__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
		if (before && before == told && v != want && before == told)
			__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
		runs[cpu]++;
	}
	__asm__ volatile("cli");
}

/* Each writes the next one's function and runs its own, all on one page, data of theirs beside it. */
static volatile u32 ring_at[SMP_MAX];
static void ring(unsigned cpu)
{
	unsigned next = (cpu + 1) % smp_count();
	u8 *mine = code + 8192 + 64 * cpu + 3, *theirs = code + 8192 + 64 * next + 3;
	volatile u32 *data = (volatile u32 *)(code + 8192 + 2048 + 64 * cpu);
	u64 end = rdtsc() + smp_ticks(SECONDS * 1000);
	for (u32 i = 1; (long)(end - rdtsc()) > 0; i++) {
		(*data)++;
		*(volatile u32 *)(theirs + 1) = i;
		barrier();
		ring_at[next] = i;
		u32 at_least = ring_at[cpu];
		serialize();
		u32 v = call(mine);
		if ((int)(v - at_least) < 0)
			__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
		runs[cpu]++;
	}
}

static void run(
	const char *name, void (*fn)(unsigned), unsigned offset, u32 first, void (*how)(void))
{
	target = function_at(offset, first);
	serialize = how;
	told = stop = wrong = published = 0;
	for (unsigned i = 0; i < SMP_MAX; i++)
		runs[i] = 0;
	int good = smp_run(fn);
	for (unsigned i = 1; i < smp_count(); i++)
		good &= runs[i] > 0;
	check(name, good && !wrong);
	if (wrong)
		print("%d times wrong\n", (int)wrong);
}

void guest_main(void)
{
	hooks[0x54] = on_sync;
	hooks[BP] = on_breakpoint;
	value("processors", smp_count());
	check("all start", smp_start());
	run("told by memory, serialized by cpuid", follow, 0, 0, serialize_cpuid);
	run("by iret", follow, 256, 0, serialize_iret);
	run("by mov to cr3", follow, 512, 0, serialize_cr3);
	run("not serialized: old or new", unsynchronised, 1024, 0x11111111, NULL);
	run("the same across a granule's end", unsynchronised, 1024 + 60, 0x11111111, NULL);
	run("the same across a page's end", unsynchronised, 4096 - 4, 0x11111111, NULL);
	target = function_at(2048, 1);
	run("a breakpoint first", patch, 2048, 1, NULL);
	for (unsigned i = 0; i < smp_count(); i++) {
		function_at(8192 + 64 * i, 0);
		ring_at[i] = 0;
	}
	run("each writes the next one's", ring, 3 * 4096, 0, serialize_cpuid);
}
