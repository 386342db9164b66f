/* SPDX-License-Identifier: MIT */
/*
 * Memory that others change while we look: guest RAM and words shared between threads. Each ram_ function is exactly
 * one host instruction of its size, so it is as atomic as the same access by a real processor, whatever the alignment.
 * lodge runs on x86-64 hosts only.
 */
#ifndef BASE_ATOMIC_H
#define BASE_ATOMIC_H

#include "base/types.h"

#define DEFINE_RAM_ACCESS(bits, suffix, constraint)                         \
	struct ram_##bits {                                                 \
		u##bits value;                                              \
	} __attribute__((packed, may_alias));                               \
	static always_inline u##bits ram_load_##bits(const void *at)        \
	{                                                                   \
		u##bits value;                                              \
		__asm__ volatile("mov" suffix " %1, %0"                     \
				 : "=" constraint(value)                    \
				 : "m"(*(const struct ram_##bits *)at));    \
		return value;                                               \
	}                                                                   \
	static always_inline void ram_store_##bits(void *at, u##bits value) \
	{                                                                   \
		__asm__ volatile("mov" suffix " %1, %0"                     \
				 : "=m"(*(struct ram_##bits *)at)           \
				 : constraint(value));                      \
	}

DEFINE_RAM_ACCESS(8, "b", "q")
DEFINE_RAM_ACCESS(16, "w", "r")
DEFINE_RAM_ACCESS(32, "l", "r")
DEFINE_RAM_ACCESS(64, "q", "r")

/* A copy to or from RAM: eight bytes at once from the start, then four, two and one. They must not overlap. */
static inline void ram_copy(void *to, const void *from, u64 bytes)
{
	u8 *out = to;
	const u8 *in = from;
	for (; bytes >= 8; bytes -= 8, out += 8, in += 8)
		ram_store_64(out, ram_load_64(in));
	if (bytes & 4)
		ram_store_32(out, ram_load_32(in));
	if (bytes & 2)
		ram_store_16(out + (bytes & 4), ram_load_16(in + (bytes & 4)));
	if (bytes & 1)
		ram_store_8(out + (bytes & 6), ram_load_8(in + (bytes & 6)));
}

/* A copy of at most 15 bytes of which each aligned part of up to 8 bytes is read at once. Reads whole aligned words. */
static always_inline void ram_copy_code(u8 *to, const u8 *from, unsigned bytes)
{
	unsigned skip = (unsigned)((u64)from & 7);
	u8 words[24];
	for (unsigned i = 0; i < skip + bytes; i += 8)
		*(struct ram_64 *)(words + i) = (struct ram_64){ram_load_64(from - skip + i)};
	__builtin_memcpy(to, words + skip, bytes);
}

/* Words between threads. */
static always_inline u32 atomic_load_32(const u32 *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static always_inline void atomic_or_32(u32 *at, u32 bits)
{
	__atomic_fetch_or(at, bits, __ATOMIC_SEQ_CST);
}

static always_inline void atomic_and_32(u32 *at, u32 bits)
{
	__atomic_fetch_and(at, bits, __ATOMIC_SEQ_CST);
}

#endif
