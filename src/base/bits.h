/* SPDX-License-Identifier: MIT */
/* Bits, fields and alignment. Everything is evaluated in 64 bits. */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include "base/types.h"

#define BIT(n) ((u64)1 << (n))

/* The low `count` bits set; count is 0 to 64. */
static always_inline u64 bits_mask(unsigned count)
{
	return count >= 64 ? ~(u64)0 : BIT(count) - 1;
}

/* `count` bits of value from bit `first` on. */
static always_inline u64 bits_get(u64 value, unsigned first, unsigned count)
{
	return (value >> first) & bits_mask(count);
}

static always_inline u64 align_down(u64 value, u64 alignment)
{
	return value & ~(alignment - 1);
}

static always_inline u64 align_up(u64 value, u64 alignment)
{
	return (value + alignment - 1) & ~(alignment - 1);
}

/* value's low `bits` bits, its top one extended; bits is 1 to 64. */
static always_inline i64 sign_extend(u64 value, unsigned bits)
{
	return (i64)(value << (64 - bits)) >> (64 - bits);
}

#endif
