/* SPDX-License-Identifier: MIT */
/* The table of indirect jumps' targets (engines/translator/layout.h). */
#include "engines/translator/layout.h"
#include "tests/unit/unit.h"

/* Its code is NULL, and a guest may jump to any address, the first and the last of all among them. */
static void no_address_finds_an_empty_jump_target(void **state)
{
	for (unsigned i = 0; i < JUMP_SETS; i++)
		assert_int_not_equal(
			jump_set_offset(jump_target_empty(i).linear), i * sizeof(struct jump_set));
}

static u8 targets_of[JUMP_SETS];

/* How many of `count` targets at a distance find no way of their own. */
static unsigned left_over(u64 first, u64 distance, unsigned count)
{
	unsigned left = 0;
	for (unsigned i = 0; i < JUMP_SETS; i++)
		targets_of[i] = 0;
	for (unsigned i = 0; i < count; i++)
		left += targets_of[jump_set_offset(first + i * distance) /
				sizeof(struct jump_set)]++ >= 2;
	return left;
}

static void targets_at_round_addresses_have_places_of_their_own(void **state)
{
	for (unsigned shift = 0; shift <= 14; shift++) {
		assert_int_equal(left_over(0xffffffff81000000, (u64)1 << shift, 2048), 0);
		assert_int_equal(left_over(0x00005555789a5000, (u64)1 << shift, 2048), 0);
	}
	assert_in_range(left_over(0x00007f1234567000, 256, 4096), 0, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_address_finds_an_empty_jump_target),
		cmocka_unit_test(targets_at_round_addresses_have_places_of_their_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
