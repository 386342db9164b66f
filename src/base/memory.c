/* SPDX-License-Identifier: MIT */
/*
 * The four functions that a freestanding compiler expects. Not linked where there is a libc. Their accesses are assembly, so that the
 * compiler does not make calls of these very functions out of them.
 */
#include "base/memory.h"
#include "base/atomic.h"

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
	/* Eight bytes at once as long as none of them is read after it was written. */
	for (; bytes >= 8 && out - in >= 8; bytes -= 8)
		ram_store_64(out + bytes - 8, ram_load_64(in + bytes - 8));
	while (bytes--)
		ram_store_8(out + bytes, in[bytes]);
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
	size_t i = 0;
	while (bytes - i >= 8 && ram_load_64(x + i) == ram_load_64(y + i))
		i += 8;
	for (; i < bytes; i++) {
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	}
	return 0;
}
