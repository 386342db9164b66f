/* SPDX-License-Identifier: MIT */
/* Integer code: arithmetic, loads and stores, calls, sorting, chasing pointers, hashing, an interpreter of bytecode. */
#include "tests/bench/workloads/work.h"

#include <sys/mman.h>

/* ---- loops of a known count ---- */

enum { MIX = 20000, LOADS = 20000, NUMBERS = 40, CALLS = 20000 };

static u64 integer_mix(void)
{
	u64 a = 1, b = 0x9e3779b97f4a7c15, c = 3, times = MIX;
	__asm__ volatile(
		"1: add %1, %0\n xor %0, %2\n lea 7(%0,%2,2), %1\n rol $13, %0\n sub %2, %1\n imul $77, %2, %2\n"
		"mov %0, %%rax\n shr $3, %%rax\n and %1, %%rax\n or %%rax, %2\n dec %3\n jnz 1b"
		: "+r"(a), "+r"(b), "+r"(c), "+r"(times)
		:
		: "rax", "cc");
	return a ^ b ^ c;
}

static u64 load_store(void)
{
	u64 a = 1, index = 0, times = LOADS;
	for (u64 i = 0; i < 4096; i++)
		((u64 *)buffer)[i] = i * 77;
	__asm__ volatile(
		"1: mov (%3,%1,8), %%rax\n add %0, %%rax\n mov %%rax, 8(%3,%1,8)\n movzbl 3(%3,%1), %%edx\n"
		"add %%rdx, %0\n add %%edx, 64(%3,%1,4)\n add $9, %1\n and $0x7ff, %1\n dec %2\n jnz 1b"
		: "+r"(a), "+r"(index), "+r"(times)
		: "r"(buffer)
		: "rax", "rdx", "cc", "memory");
	return a ^ index;
}

/* The inner loop of big-number arithmetic, half of what a stock kernel's boot executes. */
static u64 big_numbers(void)
{
	u64 carry = 0, times = NUMBERS;
	for (u64 i = 0; i < 4096; i++)
		((u64 *)buffer)[i] = i * 0x9e3779b97f4a7c15;
	__asm__ volatile(
		"1: xor %%ecx, %%ecx\n mov $-512, %%r8\n mov $0x123456789, %%r9\n"
		"2: mov 4096(%2,%%r8,8), %%rax\n mul %%r9\n add %0, %%rax\n adc $0, %%rdx\n mov 16384(%2,%%r8,8), %%rcx\n"
		"sub %%rax, %%rcx\n adc $0, %%rdx\n mov %%rcx, 16384(%2,%%r8,8)\n mov %%rdx, %0\n inc %%r8\n jnz 2b\n"
		"dec %1\n jnz 1b"
		: "+r"(carry), "+r"(times)
		: "r"(buffer)
		: "rax", "rcx", "rdx", "r8", "r9", "cc", "memory");
	return carry;
}

static u64 calls(void)
{
	u64 a = 0, times = CALLS;
	__asm__ volatile(
		"sub $128, %%rsp\n jmp 2f\n 3: push %%rbx\n mov %0, %%rbx\n add $5, %%rbx\n mov %%rbx, %0\n pop %%rbx\n"
		"ret\n 2: 1: call 3b\n test $1, %0\n jz 4f\n add $1, %0\n 4: dec %1\n jnz 1b\n add $128, %%rsp"
		: "+r"(a), "+r"(times)
		:
		: "rbx", "cc", "memory");
	return a; /* even at each call, so it is odd at the test */
}

/* ---- calls and branches ---- */

typedef u64 step(u64);
static u64 __attribute__((noinline)) step0(u64 a)
{
	return a * 5;
}
static u64 __attribute__((noinline)) step1(u64 a)
{
	return a + 0x1234567;
}
static u64 __attribute__((noinline)) step2(u64 a)
{
	return a ^ a >> 29;
}
static u64 __attribute__((noinline)) step3(u64 a)
{
	return a - 99;
}
static u64 __attribute__((noinline)) step4(u64 a)
{
	return a << 7 | a >> 57;
}
static u64 __attribute__((noinline)) step5(u64 a)
{
	return ~a;
}
static u64 __attribute__((noinline)) step6(u64 a)
{
	return a ^ 0xf00d;
}
static u64 __attribute__((noinline)) step7(u64 a)
{
	return a + (a >> 3);
}

static u64 indirect_calls(void)
{
	static step *const volatile steps[8] = {
		step0, step1, step2, step3, step4, step5, step6, step7};
	u64 a = 1;
	for (int i = 0; i < 20000; i++)
		a = steps[a >> 11 & 7](a) + i;
	return a;
}

static u64 __attribute__((noinline)) fibonacci(u64 n)
{
	__asm__ volatile("" : "+r"(n)); /* keeps gcc from unrolling the recursion away */
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}
static u64 recursion(void)
{
	return fibonacci(20);
}

static u64 bytecode(void)
{
	static const u8 program[] = {0, 1, 2, 3, 1, 4, 2, 0, 5, 3, 1, 6};
	static const void *const labels[] = {
		&&add, &&mix, &&shift, &&multiply, &&swap, &&load, &&loop};
	u64 a = 1, b = 2, c;
	unsigned at = 0, times = 3000;
#define NEXT goto *labels[program[at++]]
	NEXT;
add:
	a += b;
	NEXT;
mix:
	b ^= a;
	NEXT;
shift:
	a = a << 5 | a >> 59;
	NEXT;
multiply:
	b *= 31;
	NEXT;
swap:
	c = a;
	a = b;
	b = c;
	NEXT;
load:
	a += ((u64 *)buffer)[b & 1023];
	NEXT;
loop:
	at = 0;
	if (--times)
		NEXT;
	return a ^ b;
}

/* ---- sorting, dividing, hashing ---- */

static void quick_sort(u32 *values, long low, long high)
{
	while (low < high) {
		u32 pivot = values[(low + high) / 2];
		long i = low, j = high;
		while (i <= j) {
			while (values[i] < pivot)
				i++;
			while (values[j] > pivot)
				j--;
			if (i <= j) {
				u32 swap = values[i];
				values[i++] = values[j];
				values[j--] = swap;
			}
		}
		quick_sort(values, low, j);
		low = i;
	}
}

static u64 sort(void)
{
	u32 *values = (u32 *)buffer, random = 1;
	u64 sum = 0;
	for (int i = 0; i < 4000; i++)
		values[i] = random = random * 1664525 + 1013904223;
	quick_sort(values, 0, 3999);
	for (int i = 0; i < 4000; i++)
		sum = sum * 31 + values[i];
	return sum;
}

static u64 divisions(void)
{
	u64 a = 0x123456789abcdef, sum = 0;
	for (u64 i = 3; i < 6003; i++) {
		u64 divisor = i;
		__asm__("" : "+r"(divisor));
		sum += a / divisor ^ a % (divisor + 12345);
		sum += (u32)a / (u32)divisor;
		a += sum;
	}
	return sum;
}

static u64 sha256(void)
{
	/* Constants do not matter for the speed: these are made, not the standard's. */
	static u32 k[64];
	u32 h[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	for (u32 i = 0; i < 64; i++)
		k[i] = (i + 1) * 0x9e3779b9;
#define ROR(x, n) ((x) >> (n) | (x) << (32 - (n)))
	for (int block = 0; block < 256; block++) {
		u32 w[64], v[8];
		for (int i = 0; i < 16; i++)
			w[i] = __builtin_bswap32(((u32 *)(buffer + (1 << 20) + block * 64))[i]);
		for (int i = 16; i < 64; i++)
			w[i] = w[i - 16] +
				(ROR(w[i - 15], 7) ^ ROR(w[i - 15], 18) ^ w[i - 15] >> 3) +
				w[i - 7] + (ROR(w[i - 2], 17) ^ ROR(w[i - 2], 19) ^ w[i - 2] >> 10);
		for (int i = 0; i < 8; i++)
			v[i] = h[i];
		for (int i = 0; i < 64; i++) {
			u32 t1 = v[7] + (ROR(v[4], 6) ^ ROR(v[4], 11) ^ ROR(v[4], 25)) +
				((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
			u32 t2 = (ROR(v[0], 2) ^ ROR(v[0], 13) ^ ROR(v[0], 22)) +
				((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
			v[7] = v[6], v[6] = v[5], v[5] = v[4], v[4] = v[3] + t1, v[3] = v[2],
			v[2] = v[1], v[1] = v[0], v[0] = t1 + t2;
		}
		for (int i = 0; i < 8; i++)
			h[i] += v[i];
	}
	return (u64)h[0] << 32 | h[7];
}

/* ---- pointer chases: a ring through all lines of a piece of memory, in the order of a linear congruence ---- */

enum { LINE = 64, STEPS = 10000 };
static u8 *ring;
static u32 ring_lines;

static u32 after(u32 line)
{
	return (line * 1664525u + 1013904223u) % ring_lines;
}

static void make_ring(u8 *memory, u32 size)
{
	ring = memory;
	ring_lines = size / LINE;
	for (u32 i = 0; i < ring_lines; i++)
		*(u8 **)(ring + (size_t)i * LINE) = ring + (size_t)after(i) * LINE;
}

static void make_ring_16k(void)
{
	make_ring(buffer + (4 << 20), 16 << 10);
}
static void make_ring_16m(void)
{
	make_ring(buffer + (4 << 20), 16 << 20);
}
static void make_ring_256m(void)
{
	static u8 *memory;
	if (!memory)
		memory = mmap(NULL, 256 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	if (memory == MAP_FAILED)
		fail("no memory for the ring");
	madvise(memory, 256 << 20, MADV_DONTFORK);
	make_ring(memory, 256u << 20);
}

/* Goes on where it was, so as not to meet the same few lines again; the congruence tells where it must arrive. */
static u64 chase(u64 times)
{
	static u32 line;
	u8 *at, *wanted;
	line %= ring_lines;
	at = wanted = ring + (size_t)line * LINE;
	for (u64 i = 0; i < times * STEPS; i++)
		at = *(u8 **)at;
	/* The steps' congruence by squaring. */
	u32 factor = 1664525, offset = 1013904223, to = line;
	for (u64 left = times * STEPS; left; left >>= 1) {
		if (left & 1)
			to = to * factor + offset;
		offset = offset * factor + offset;
		factor *= factor;
	}
	line = to % ring_lines;
	wanted = ring + (size_t)line * LINE;
	return at == wanted ? 1 : 0;
}

const struct workload integer_work[] = {
	{"integer-mix", .once = integer_mix, .instructions = MIX * 12},
	{"load-store", .once = load_store, .instructions = LOADS * 10},
	{"big-numbers", .once = big_numbers, .instructions = NUMBERS * (5 + 512 * 11)},
	{"division", .once = divisions},
	{"calls", .once = calls, .instructions = CALLS * 12},
	{"indirect-calls", .once = indirect_calls},
	{"recursion", .once = recursion},
	{"bytecode", .once = bytecode},
	{"sort", .once = sort},
	{"sha256", .once = sha256},
	{"chase-16KiB", make_ring_16k, .run = chase},
	{"chase-16MiB", make_ring_16m, .run = chase},
	{"chase-256MiB", make_ring_256m, .run = chase},
	{0},
};
