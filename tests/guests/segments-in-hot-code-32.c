/* SPDX-License-Identifier: MIT */
/*
 * Code that has run many times over with flat segments, and then runs with others (AMD64 volume 2, 4.7 and 4.12): whoever translated it
 * must notice. Each line is what a processor without any memory of it does.
 */
#include "guest.h"

#define TIMES 100

static u32 buffer[8] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};

static void describe(u32 base, u32 limit, u8 access, u8 flags)
{
	gdt[GDT_FREE / 8] = descriptor(base, limit, access, flags);
}

/* The sum of the first two words at p, by way of a segment: each a loop with a backward branch. */
#define READER(name, segment)                                                                   \
	static __attribute__((noinline)) u32 name(const u32 *p)                                 \
	{                                                                                       \
		u32 sum = 0, count = 2;                                                         \
		__asm__ volatile("1: addl %%" segment ":-4(%2, %1, 4), %0\n\tdecl %1\n\tjnz 1b" \
				 : "+r"(sum), "+r"(count)                                       \
				 : "r"(p)                                                       \
				 : "memory");                                                   \
		return sum;                                                                     \
	}
READER(read_es, "es")
READER(read_fs, "fs")

#define LOAD(segment, selector) __asm__ volatile("mov %0, %%" segment ::"r"(selector) : "memory")

static void data_segments(void)
{
	u32 flat = 0, based = 0, selector, before;
	describe((u32)&buffer[2] - (u32)buffer, 0xfffff, ACCESS_DATA0, 0xc);
	__asm__ volatile("mov %%es, %0" : "=r"(before));
	for (int i = 0; i < TIMES; i++)
		flat += read_es(buffer);
	for (int i = 0; i < TIMES; i++) {
		selector = i & 1 ? before : GDT_FREE;
		LOAD("es", selector);
		based += read_es(buffer);
	}
	LOAD("es", before);
	value("ES flat", flat);
	value("ES flat and based in turns", based);
}

/* A segment register changes in the middle of hot code, and DS is what most accesses go by. */
static __attribute__((noinline)) u32 read_around(const u32 *p, u32 selector)
{
	u32 first, second;
	__asm__ volatile("mov %%ds, %%edx\n\t"
			 "movl (%2), %0\n\t"
			 "mov %3, %%ds\n\t"
			 "movl (%2), %1\n\t"
			 "mov %%edx, %%ds"
			 : "=&r"(first), "=&r"(second)
			 : "r"(p), "r"(selector)
			 : "edx", "memory");
	return first + second;
}

static void change_within(void)
{
	u32 sum = 0, before;
	__asm__ volatile("mov %%ds, %0" : "=r"(before));
	for (int i = 0; i < TIMES; i++)
		sum += read_around(buffer, before);
	for (int i = 0; i < TIMES; i++)
		sum += read_around(buffer, GDT_FREE);
	value("DS changes in between", sum);
}

static void report_fault(const char *name)
{
	print("%s: %s\n", name, trap.vector == GP && !trap.error ? "#GP(0)" : "no #GP(0)");
}

static void null_and_small(void)
{
	u32 sum = 0;
	describe(0, 0xfffff, ACCESS_DATA0, 0xc);
	LOAD("fs", GDT_FREE);
	for (int i = 0; i < TIMES; i++)
		sum += read_fs(buffer);
	value("FS as large as all", sum);
	LOAD("fs", 0);
	TRY(read_fs(buffer));
	report_fault("FS null");
	describe(0, 15, ACCESS_DATA0, 4);
	LOAD("fs", GDT_FREE);
	TRY(read_fs(buffer));
	report_fault("FS small");
	describe((u32)buffer, sizeof(buffer) - 1, ACCESS_DATA0, 4);
	LOAD("fs", GDT_FREE);
	value("FS small, within", read_fs(0));
	LOAD("fs", 0);
}

/* PUSH and POP by SP alone, with the rest of ESP kept. */
static __attribute__((noinline)) u32 push_pop(u32 x)
{
	__asm__ volatile("push %0\n\tpush %0\n\tpop %0\n\taddl $1, (%%esp)\n\tpop %0"
			 : "+r"(x)::"memory");
	return x;
}

static __attribute__((noinline)) u32 on_small_stack(u32 selector)
{
	u32 result;
	__asm__ volatile("mov %%ss, %%ebx\n\t"
			 "mov %%esp, %%esi\n\t"
			 "mov %1, %%ss\n\t"
			 "mov $0x12347f00, %%esp\n\t"
			 "mov $5, %%ecx\n\t"
			 "push %%ecx\n\t"
			 "incl 0x7efc\n\t"
			 "pop %%ecx\n\t"
			 "mov %%esp, %%edx\n\t"
			 "mov %%ebx, %%ss\n\t"
			 "mov %%esi, %%esp\n\t"
			 "leal (%%ecx, %%edx), %0"
			 : "=r"(result)
			 : "r"(selector)
			 : "ebx", "ecx", "edx", "esi", "memory");
	return result;
}

static void stacks(void)
{
	u32 sum = 0;
	for (int i = 0; i < TIMES; i++)
		sum += push_pop((u32)i);
	value("stack of 32 bits", sum);
	describe(0, 0xfffff, ACCESS_DATA0, 8);
	sum = 0;
	for (int i = 0; i < TIMES; i++)
		sum += on_small_stack(GDT_FREE);
	value("stack of 16 bits", sum);
}

/* Sums of addresses are cut to 32 bits. */
static __attribute__((noinline)) u32 read_wrapped(u32 base, u32 index)
{
	u32 x;
	__asm__ volatile("movl 0x10(%1, %2, 4), %0" : "=r"(x) : "r"(base), "r"(index) : "memory");
	return x;
}

static void wraps(void)
{
	u32 sum = 0;
	for (u32 i = 0; i < TIMES; i++)
		sum += read_wrapped((u32)buffer - 0x10 - (i << 2), i);
	for (u32 i = 0; i < TIMES; i++)
		sum += read_wrapped((u32)buffer + 4 * i, 0xfffffffc - i);
	value("addresses that wrap", sum);
}

void guest_main(void)
{
	data_segments();
	change_within();
	null_and_small();
	stacks();
	wraps();
}
