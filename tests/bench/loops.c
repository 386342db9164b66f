/* SPDX-License-Identifier: MIT */
/*
 * loops [PERCENT [ROUNDS]]: workloads for `make bench`, the same static binary natively and in guests. The line `BEGIN name`
 * before and `END name checksum instructions nanoseconds` after each is stamped by the host that reads it; the nanoseconds
 * are for native runs only, where this program's clock is the host's. The number of instructions is told where the loop
 * is written in assembly and so is known, else it is 0. No libc.
 */
#include <emmintrin.h>
#include <stdint.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint8_t u8;

static long call(long number, long a, long b, long c)
{
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

/* gcc makes calls of these. */
void *memcpy(void *to, const void *from, unsigned long size)
{
	void *start = to;
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
	return start;
}
void *memset(void *to, int value, unsigned long size)
{
	void *start = to;
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
	return start;
}

static char line[200];
static unsigned length;

static void put(const char *text)
{
	while (*text)
		line[length++] = *text++;
}

static void put_number(u64 value, unsigned base)
{
	char digits[24];
	unsigned count = 0;
	do
		digits[count++] = "0123456789abcdef"[value % base];
	while (value /= base);
	while (count)
		line[length++] = digits[--count];
}

static void put_line(void)
{
	line[length++] = '\n';
	call(1, 1, (long)line, length);
	length = 0;
}

static u64 seed;
static u64 next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static u8 buffer[8 << 20] __attribute__((aligned(4096)));

static u64 buffer_sum(void)
{
	u64 sum = 0;
	for (unsigned i = 0; i < 256 << 10; i += 8)
		sum = sum * 31 + *(u64 *)(buffer + i) + *(u64 *)(buffer + (4 << 20) + i);
	return sum;
}
static u64 instructions;

/* ---- loops of a known count ---- */

static u64 integer_mix(u64 times)
{
	u64 a = 1, b = 0x9e3779b97f4a7c15, c = 3;
	instructions = times * 12;
	__asm__ volatile(
		"1: add %1, %0\n xor %0, %2\n lea 7(%0,%2,2), %1\n rol $13, %0\n sub %2, %1\n imul $77, %2, %2\n"
		"mov %0, %%rax\n shr $3, %%rax\n and %1, %%rax\n or %%rax, %2\n dec %3\n jnz 1b"
		: "+r"(a), "+r"(b), "+r"(c), "+r"(times)
		:
		: "rax", "cc");
	return a ^ b ^ c;
}

static u64 load_store(u64 times)
{
	u64 a = 1, index = 0;
	instructions = times * 10;
	__asm__ volatile(
		"1: mov (%3,%1,8), %%rax\n add %0, %%rax\n mov %%rax, 8(%3,%1,8)\n movzbl 3(%3,%1), %%edx\n"
		"add %%rdx, %0\n add %%edx, 64(%3,%1,4)\n add $9, %1\n and $0x7ff, %1\n dec %2\n jnz 1b"
		: "+r"(a), "+r"(index), "+r"(times)
		: "r"(buffer)
		: "rax", "rdx", "cc", "memory");
	return a ^ index;
}

/* The inner loop of big-number arithmetic, half of what a stock kernel's boot executes. */
static u64 big_numbers(u64 times)
{
	u64 carry = 0;
	instructions = times * (5 + 512 * 11);
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

static u64 calls(u64 times)
{
	u64 a = 0;
	instructions = times * 12 + 3;
	__asm__ volatile(
		"jmp 2f\n 3: push %%rbx\n mov %0, %%rbx\n add $5, %%rbx\n mov %%rbx, %0\n pop %%rbx\n ret\n"
		"2: sub $128, %%rsp\n 1: call 3b\n test $1, %0\n jz 4f\n add $1, %0\n 4: dec %1\n jnz 1b\n add $128, %%rsp"
		: "+r"(a), "+r"(times)
		:
		: "rbx", "cc", "memory");
	return a; /* even at each call, so it is odd at the test */
}

/* ---- others ---- */

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

static u64 sort(u64 count)
{
	u32 *values = (u32 *)buffer;
	u64 sum = 0;
	for (u64 i = 0; i < count; i++)
		values[i] = next_random();
	quick_sort(values, 0, count - 1);
	for (u64 i = 0; i < count; i++)
		sum = sum * 31 + values[i];
	return sum;
}

static u64 sha256(u64 kib)
{
	static const u32 k[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
		0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
		0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6,
		0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
		0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
		0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
		0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585,
		0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
		0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
		0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
	u32 h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
		0x1f83d9ab, 0x5be0cd19};
#define ROR(x, n) ((x) >> (n) | (x) << (32 - (n)))
	for (u64 block = 0; block < kib * 16; block++) {
		u32 w[64], v[8];
		for (int i = 0; i < 16; i++)
			w[i] = __builtin_bswap32(((u32 *)(buffer + block % 16384 * 64))[i]);
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

static u64 __attribute__((noinline)) fibonacci(u64 n)
{
	__asm__ volatile("" : "+r"(n)); /* keeps gcc from unrolling the recursion away */
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static u64 bytecode(u64 times)
{
	static const u8 program[] = {0, 1, 2, 3, 1, 4, 2, 0, 5, 3, 1, 6};
	static const void *const labels[] = {
		&&add, &&xor, &&shift, &&multiply, &&swap, &&load, &&loop};
	u64 a = 1, b = 2;
	unsigned at = 0;
#define NEXT goto *labels[program[at++]]
	NEXT;
add:
	a += b;
	NEXT;
	xor : b ^= a;
	NEXT;
shift:
	a = a << 5 | a >> 59;
	NEXT;
multiply:
	b *= 31;
	NEXT;
swap : {
	u64 c = a;
	a = b, b = c;
}
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

static u64 chase(u64 times)
{
	u32 *next = (u32 *)buffer;
	const u32 count = 1 << 18; /* 1 MiB */
	for (u32 i = 0; i < count; i++)
		next[i] = (i * 1664525u + 1013904223u) % count;
	u32 at = 0;
	while (times--)
		at = next[at];
	return at;
}

static u64 copy_words(u64 times)
{
	u64 *from = (u64 *)buffer, *to = (u64 *)(buffer + (4 << 20));
	while (times--)
		for (int i = 0; i < 2048; i++) {
			to[i] = from[i] + times;
			__asm__ volatile("" : : : "memory");
		}
	return buffer_sum();
}

static u64 copy_sse2(u64 times)
{
	__m128i *from = (__m128i *)buffer, *to = (__m128i *)(buffer + (4 << 20));
	while (times--)
		for (int i = 0; i < 1024; i += 4)
			for (int j = 0; j < 4; j++)
				_mm_storeu_si128(to + i + j, _mm_loadu_si128(from + i + j));
	return buffer_sum();
}

static u64 rep_movs(u64 times)
{
	while (times--)
		memcpy(buffer + (4 << 20) + (times % 64) * 4096, buffer + (times % 128) * 4096,
			4096);
	return buffer_sum();
}

static u64 rep_stos(u64 times)
{
	while (times--)
		memset(buffer + (times % 1024) * 4096, times, 4096);
	return buffer_sum();
}

static u64 doubles(u64 size)
{
	double(*a)[128] = (void *)buffer, (*b)[128] = a + 128, (*c)[128] = b + 128;
	u64 sum = 0;
	for (u64 i = 0; i < 128 * 128; i++)
		a[i / 128][i % 128] = i % 7 + 0.5, b[i / 128][i % 128] = i % 11 - 3.25;
	for (u64 i = 0; i < size; i++)
		for (u64 j = 0; j < 128; j++) {
			double total = 0;
			for (u64 k = 0; k < 128; k++)
				total += a[i % 128][k] * b[k][j];
			c[i % 128][j] = total;
		}
	for (u64 i = 0; i < 128 * 128; i++)
		sum = sum * 31 + (u64)(long)c[i / 128][i % 128];
	return sum;
}

static u64 x87(u64 times)
{
	long double value = 1, step = 1.0000001L;
	while (times--)
		value = value * step + 1 / value;
	return (u64)(value * 1000);
}

static u64 system_calls(u64 times)
{
	u64 same = 0;
	long mine = call(110, 0, 0, 0);
	while (times--)
		same += call(110, 0, 0, 0) == mine; /* getppid */
	return same;
}

static u64 page_faults(u64 times)
{
	u64 sum = 0;
	while (times--) {
		long at;
		register long flags __asm__("r10") = 0x22, file __asm__("r8") = -1,
				    offset __asm__("r9") = 0;
		__asm__ volatile("syscall"
				 : "=a"(at)
				 : "a"(9L), "D"(0L), "S"(256L << 12), "d"(3L), "r"(flags),
				 "r"(file), "r"(offset)
				 : "rcx", "r11", "memory");
		for (long i = 0; i < 256; i++)
			sum += ++*(volatile u8 *)(at + (i << 12));
		call(11, at, 256L << 12, 0);
	}
	return sum;
}

static const struct workload {
	const char *name;
	u64 (*run)(u64);
	u64 times;
	u32 divisible; /* whether PERCENT may change times */
} workloads[] = {
	{"integer-mix", integer_mix, 10000000, 1},
	{"load-store", load_store, 10000000, 1},
	{"big-numbers", big_numbers, 18000, 1},
	{"calls", calls, 8000000, 1},
	{"sort", sort, 500000, 1},
	{"sha256", sha256, 4096, 1},
	{"recursion", fibonacci, 30, 0},
	{"bytecode", bytecode, 2000000, 1},
	{"chase-1MiB", chase, 8000000, 1},
	{"copy-words", copy_words, 10000, 1},
	{"copy-sse2", copy_sse2, 20000, 1},
	{"rep-movs-4KiB", rep_movs, 40000, 1},
	{"rep-stos-4KiB", rep_stos, 40000, 1},
	{"doubles", doubles, 768, 1},
	{"x87", x87, 2000000, 1},
	{"getppid", system_calls, 200000, 1},
	{"page-faults", page_faults, 40, 1},
};

static u64 now(void)
{
	long time[2];
	call(228, 1, (long)time, 0); /* clock_gettime, monotonic */
	return time[0] * 1000000000ul + time[1];
}

static u64 parse(const char *text)
{
	u64 value = 0;
	while (*text >= '0' && *text <= '9')
		value = value * 10 + (*text++ - '0');
	return value;
}

__attribute__((used)) static void begin(long *stack)
{
	long count = stack[0];
	u64 percent = count > 1 ? parse((char *)stack[2]) : 100;
	u64 rounds = count > 2 ? parse((char *)stack[3]) : 1;
	while (rounds--)
		for (unsigned i = 0; i < sizeof workloads / sizeof *workloads; i++) {
			const struct workload *w = &workloads[i];
			u64 times = w->divisible ? w->times * percent / 100 : w->times;
			seed = 88172645463325252;
			/* What workloads read is the same each time, and every page is there. */
			for (unsigned j = 0; j < sizeof buffer;
				j += (j & 4194303) < 1 << 20 ? 8 : 4096)
				*(u64 *)(buffer + j) = j * 0x9e3779b97f4a7c15 ^ j << 7;
			instructions = 0;
			put("BEGIN ");
			put(w->name);
			put_line();
			u64 start = now();
			u64 sum = w->run(times ? times : 1);
			u64 took = now() - start;
			put("END ");
			put(w->name);
			put(" ");
			put_number(sum, 16);
			put(" ");
			put_number(instructions, 10);
			put(" ");
			put_number(took, 10);
			put_line();
		}
	call(231, 0, 0, 0);
}

__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n hlt");
