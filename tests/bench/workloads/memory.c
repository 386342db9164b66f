/* SPDX-License-Identifier: MIT */
/* Copies of memory and string functions: libc's, which takes what suits the processor that it sees, and plain instructions. */
#include "tests/bench/workloads/work.h"

#include <emmintrin.h>
#include <stdio.h>
#include <string.h>

#define FAR_HALF (buffer + BUFFER_SIZE / 2)

/* Keeps gcc from making something cleverer of several copies. */
static void forget(void)
{
	__asm__ volatile("" : : "r"(buffer) : "memory");
}

static u64 memcpy_16k(void)
{
	for (int i = 0; i < 100; i++) {
		memcpy(FAR_HALF, buffer + (i & 15) * 4096, 16 << 10);
		forget();
	}
	return hash_bytes(0, FAR_HALF, 64);
}

static u64 memcpy_8m(void)
{
	memcpy(FAR_HALF, buffer, 8 << 20);
	forget();
	return hash_bytes(0, FAR_HALF + (1 << 20), 64);
}

static u64 memset_4k(void)
{
	for (int i = 0; i < 200; i++) {
		memset(FAR_HALF, i, 4096);
		forget();
	}
	return FAR_HALF[4095];
}

static u64 memset_8m(void)
{
	memset(FAR_HALF, 7, 8 << 20);
	forget();
	return FAR_HALF[5 << 20];
}

static u64 rep_movs_4k(void)
{
	for (int i = 0; i < 100; i++) {
		void *to = FAR_HALF + (i & 15) * 4096;
		const void *from = buffer + (i & 31) * 4096;
		size_t size = 4096;
		__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
	}
	return hash_bytes(0, FAR_HALF, 64);
}

static u64 rep_stos_4k(void)
{
	for (int i = 0; i < 100; i++) {
		void *to = FAR_HALF + (i & 15) * 4096;
		size_t count = 512;
		__asm__ volatile("rep stosq"
				 : "+D"(to), "+c"(count)
				 : "a"(i * 0x123456789ul)
				 : "memory");
	}
	return hash_bytes(0, FAR_HALF, 64);
}

static u64 copy_words(void)
{
	const u64 *from = (const u64 *)buffer;
	u64 *to = (u64 *)FAR_HALF;
	for (int i = 0; i < 8192; i++) {
		to[i] = from[i] + i;
		__asm__ volatile("" : : : "memory");
	}
	return hash_bytes(0, to, 64);
}

static u64 copy_sse2(void)
{
	const __m128i *from = (const __m128i *)buffer;
	__m128i *to = (__m128i *)FAR_HALF;
	for (int times = 0; times < 8; times++)
		for (int i = 0; i < 1024; i++) {
			_mm_storeu_si128(to + i, _mm_loadu_si128(from + i + times));
			__asm__ volatile("" : : : "memory");
		}
	return hash_bytes(0, to, 64);
}

static char text[40000];
static void make_text(void)
{
	static const char *const words[] = {
		"guest", "host", "page", "fault", "vector", "clock", "a", "interrupt"};
	size_t length = 0;
	while (length < sizeof text - 20)
		length += sprintf(text + length, "%s%c", words[next_random() >> 9 & 7],
			next_random() >> 20 & 7 ? ' ' : '\n');
}

static u64 strings(void)
{
	u64 sum = strlen(text);
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		sum = sum * 31 + (at - text);
	for (const char *at = text; (at = strstr(at, "fault vec")); at++)
		sum = sum * 31 + (at - text);
	memcpy(FAR_HALF, text, sizeof text);
	for (int i = 0; i < 300; i++) {
		sum += strcmp(text, (char *)FAR_HALF) == 0;
		sum += strlen(text + i * 100 % 30000) + (memchr(text, 1, 3000) != NULL);
		sum += strnlen(text + i, 200) + strcspn(text + i * 50, "\n") +
			(memcmp(text, FAR_HALF, 2000) == 0);
	}
	return sum;
}

static u64 numbers_to_text(void)
{
	char line[100];
	u64 sum = 0;
	for (int i = 0; i < 500; i++) {
		int length = snprintf(line, sizeof line, "%d %s %08x %llu", i * 77, "words",
			i * 12345, i * 99999999999ull);
		sum = hash_bytes(sum, line, length);
	}
	return sum;
}

const struct workload memory_work[] = {
	{"memcpy-16KiB", .once = memcpy_16k},
	{"memcpy-8MiB", .once = memcpy_8m},
	{"memset-4KiB", .once = memset_4k},
	{"memset-8MiB", .once = memset_8m},
	{"rep-movsb-4KiB", .once = rep_movs_4k},
	{"rep-stosq-4KiB", .once = rep_stos_4k},
	{"copy-words", .once = copy_words},
	{"copy-sse2", .once = copy_sse2},
	{"strings", make_text, .once = strings},
	{"printf", .once = numbers_to_text},
	{0},
};
