/* SPDX-License-Identifier: MIT */
/* base/memory.c, which hosted programs do not link, against libc's. Its functions have other names here. */
#include "tests/unit/unit.h"

#define memcpy own_memcpy
#define memmove own_memmove
#define memset own_memset
#define memcmp own_memcmp
#include "base/memory.h"
#include "src/base/memory.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp

#define BYTES 200

static u8 memory[BYTES], expected[BYTES];

static void fill(void)
{
	for (unsigned i = 0; i < BYTES; i++)
		memory[i] = expected[i] = (u8)(i * 37 + 11);
}

static void memmove_is_right_at_every_distance(void **state)
{
	for (unsigned from = 0; from < 40; from++)
		for (unsigned to = 0; to < 40; to++)
			for (unsigned bytes = 0; bytes < 100; bytes += 1 + bytes / 20) {
				fill();
				memmove(expected + to, expected + from, bytes);
				assert_ptr_equal(own_memmove(memory + to, memory + from, bytes),
					memory + to);
				assert_memory_equal(memory, expected, BYTES);
			}
}

static void memcpy_and_memset_write_what_they_should_and_no_more(void **state)
{
	for (unsigned bytes = 0; bytes < 90; bytes++) {
		fill();
		memcpy(expected + 3, expected + 101, bytes);
		assert_ptr_equal(own_memcpy(memory + 3, memory + 101, bytes), memory + 3);
		memset(expected + 95, 0xa5, bytes);
		assert_ptr_equal(own_memset(memory + 95, 0xa5, bytes), memory + 95);
		assert_memory_equal(memory, expected, BYTES);
	}
}

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

static void memcmp_finds_the_first_difference(void **state)
{
	fill();
	for (unsigned bytes = 0; bytes < 40; bytes++) {
		assert_int_equal(own_memcmp(memory + 1, expected + 1, bytes), 0);
		for (unsigned at = 0; at < bytes; at++)
			for (unsigned later = at; later < bytes; later += 5) {
				expected[1 + at] ^= 0x80;
				expected[1 + later] ^= 1;
				assert_int_equal(sign(own_memcmp(memory + 1, expected + 1, bytes)),
					sign(memcmp(memory + 1, expected + 1, bytes)));
				expected[1 + at] ^= 0x80;
				expected[1 + later] ^= 1;
			}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memmove_is_right_at_every_distance),
		cmocka_unit_test(memcpy_and_memset_write_what_they_should_and_no_more),
		cmocka_unit_test(memcmp_finds_the_first_difference),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
