/* SPDX-License-Identifier: MIT */
/* The four functions that a freestanding compiler expects. Not linked where there is a libc. */
#include "base/memory.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	void *start = to;
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
	return start;
}

void *memmove(void *to, const void *from, size_t bytes)
{
	u8 *out = to;
	const u8 *in = from;
	if (out <= in || out >= in + bytes)
		return memcpy(to, from, bytes);
	while (bytes--)
		((volatile u8 *)out)[bytes] = in[bytes];
	return to;
}

void *memset(void *to, int value, size_t bytes)
{
	void *start = to;
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
	return start;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const u8 *x = a, *y = b;
	for (size_t i = 0; i < bytes; i++) {
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	}
	return 0;
}
