/* SPDX-License-Identifier: MIT */
/* Reference counts of 1 to 64 bits: those of less than a byte fill it from its lowest bits on, larger ones are big-endian. */
#include "hosts/linux/qcow2/internal.h"

u64 refcount_decode(const u8 *block, u64 index, u32 order)
{
	u64 value = 0;

	if (order < 3) {
		u32 bits = 1u << order, shift = (index << order) % 8;

		return block[(index << order) / 8] >> shift & ((1u << bits) - 1);
	}
	for (u32 i = 0, bytes = 1u << (order - 3); i < bytes; i++)
		value = value << 8 | block[(index << (order - 3)) + i];
	return value;
}

void refcount_encode(u8 *block, u64 index, u32 order, u64 value)
{
	if (order < 3) {
		u32 bits = 1u << order, shift = (index << order) % 8;
		u8 mask = (u8)(((1u << bits) - 1) << shift);
		u8 *at = &block[(index << order) / 8];

		*at = (u8)((*at & ~mask) | (value << shift & mask));
		return;
	}
	for (u32 bytes = 1u << (order - 3), i = bytes; i-- > 0; value >>= 8)
		block[(index << (order - 3)) + i] = (u8)value;
}
