/* SPDX-License-Identifier: MIT */
/* Random numbers, with the odd ones more often than chance would have them. */
#include <string.h>
#include "differential.h"

/* splitmix64 */
u64 random_next(struct random *random)
{
	u64 z = random->state += 0x9e3779b97f4a7c15;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

u64 random_below(struct random *random, u64 limit)
{
	return random_next(random) % limit;
}

bool random_chance(struct random *random, unsigned percent)
{
	return random_below(random, 100) < percent;
}

static const u64 edges[] = {
	0,
	1,
	2,
	3,
	7,
	8,
	9,
	15,
	16,
	17,
	31,
	32,
	33,
	63,
	64,
	65,
	0x7f,
	0x80,
	0x81,
	0xff,
	0x100,
	0x7fff,
	0x8000,
	0x8001,
	0xffff,
	0x10000,
	0x7fffffff,
	0x80000000,
	0x80000001,
	0xffffffff,
	0x100000000,
	0x7fffffffffffffff,
	0x8000000000000000,
	0x8000000000000001,
	~(u64)0,
	~(u64)1,
	0xffffff80,
	0xffff8000,
	0xffffffff80000000,
	0xffffffffffff8000,
	0xffffffffffffff80,
	0x5555555555555555,
	0xaaaaaaaaaaaaaaaa,
	0x0123456789abcdef,
};

u64 random_integer(struct random *random)
{
	switch (random_below(random, 8)) {
	case 0:
	case 1:
	case 2:
		return edges[random_below(random, ARRAY_SIZE(edges))];
	case 3:
		return random_below(random, 256);
	case 4:
		return BIT(random_below(random, 64)) - random_below(random, 2);
	case 5:
		return (u64)(i64)(i32)random_next(random);
	default:
		return random_next(random);
	}
}

static const u32 singles[] = {
	0,
	0x80000000,
	0x3f800000,
	0xbf800000,
	0x7f800000,
	0xff800000,
	0x7fc00000,
	0xffc00000,
	0x7f800001,
	0xff812345,
	0x00000001,
	0x807fffff,
	0x00800000,
	0x7f7fffff,
	0x4f000000,
	0xcf000000,
	0x4effffff,
	0x3f000000,
	0x3effffff,
	0x4b000001,
	0x5f000000,
	0x7fffffff,
};
static const u64 doubles[] = {
	0,
	0x8000000000000000,
	0x3ff0000000000000,
	0xbff0000000000000,
	0x7ff0000000000000,
	0xfff0000000000000,
	0x7ff8000000000000,
	0xfff8000000000000,
	0x7ff0000000000001,
	0xfff0123456789abc,
	1,
	0x800fffffffffffff,
	0x0010000000000000,
	0x7fefffffffffffff,
	0x41e0000000000000,
	0xc1e0000000000000,
	0xc1e0000000200000,
	0x43e0000000000000,
	0x3fe0000000000000,
	0x4330000000000001,
	0x36a0000000000000,
	0x47efffffffffffff,
};

static u32 random_single(struct random *random)
{
	if (random_chance(random, 50))
		return singles[random_below(random, ARRAY_SIZE(singles))];
	/* Exponents near each other, so that sums and roundings happen. */
	return (u32)(random_next(random) & 0x807fffff) |
		(u32)(120 + random_below(random, 40)) << 23;
}

static u64 random_double(struct random *random)
{
	if (random_chance(random, 50))
		return doubles[random_below(random, ARRAY_SIZE(doubles))];
	return (random_next(random) & 0x800fffffffffffff) |
		(u64)(1000 + random_below(random, 80)) << 52;
}

void random_lanes(struct random *random, u8 *to)
{
	u64 lanes[2];
	for (unsigned i = 0; i < 2; i++) {
		switch (random_below(random, 4)) {
		case 0:
			lanes[i] = random_single(random) | (u64)random_single(random) << 32;
			break;
		case 1:
			lanes[i] = random_double(random);
			break;
		default:
			lanes[i] = random_integer(random);
			break;
		}
	}
	memcpy(to, lanes, 16);
}

static void random_extended(struct random *random, u8 *to)
{
	static const u16 exponents[] = {0, 1, 0x3ffe, 0x3fff, 0x4000, 0x401e, 0x401f, 0x403e,
		0x403f, 0x7ffe, 0x7fff, 0x3c01, 0x3f81, 0x43fe, 0x407e};
	u16 exponent = random_chance(random, 50)
		? exponents[random_below(random, ARRAY_SIZE(exponents))]
		: (u16)(0x3fff - 40 + random_below(random, 80));
	u64 mantissa = random_chance(random, 30) ? 0
		: random_chance(random, 30)	 ? random_integer(random)
						 : random_next(random);
	bool unsupported = random_chance(random, 4);
	/* The integer bit is set in all but zeroes and denormals. */
	mantissa = exponent ? mantissa | BIT(63) : mantissa & ~BIT(63);
	if (unsupported)
		mantissa ^= BIT(63);
	exponent |= random_chance(random, 50) ? 0x8000 : 0;
	memcpy(to, &mantissa, 8);
	memcpy(to + 8, &exponent, 2);
}

void random_fpu(struct random *random, u8 image[512])
{
	memset(image, 0, 512);
	bool masked = random_chance(random, 80);
	u16 fcw = (u16)(0x40 | (masked ? 0x3f : random_below(random, 64)));
	fcw |= (u16)(random_below(random, 4) << 10);
	static const u16 precisions[] = {0x300, 0x300, 0x300, 0x200, 0x000};
	fcw |= precisions[random_below(random, ARRAY_SIZE(precisions))];
	u16 fsw = (u16)(random_below(random, 8) << 11);
	fsw |= (u16)(random_next(random) & 0x4700);
	if (random_chance(random, 30))
		fsw |= (u16)(random_next(random) & 0x3f);
	if (fsw & ~fcw & 0x3f) {
		if (random_chance(random, 60))
			fsw &= (u16) ~(~fcw & 0x3f);
		else
			fsw |= 0x8080;
	}
	image[4] = (u8)(random_chance(random, 50)   ? 0xff
			: random_chance(random, 30) ? 0
						    : random_next(random));
	u32 mxcsr = (u32)(random_chance(random, 80) ? 0x1f80 : random_next(random) & 0x1f80);
	mxcsr |= (u32)(random_next(random) & 0x6000);
	if (random_chance(random, 20))
		mxcsr |= (u32)(random_next(random) & 0x8040);
	if (random_chance(random, 30))
		mxcsr |= (u32)(random_next(random) & 0x3f);
	memcpy(image, &fcw, 2);
	memcpy(image + 2, &fsw, 2);
	memcpy(image + 24, &mxcsr, 4);
	u32 mask = 0xffff;
	memcpy(image + 28, &mask, 4);
	for (unsigned i = 0; i < 8; i++)
		random_extended(random, image + 32 + 16 * i);
	for (unsigned i = 0; i < 16; i++)
		random_lanes(random, image + 160 + 16 * i);
}

void random_data(struct random *random, u8 *data, u64 bytes)
{
	for (u64 at = 0; at + 16 <= bytes; at += 16) {
		if (random_chance(random, 20))
			random_extended(random, data + at);
		else
			random_lanes(random, data + at);
	}
}
