/* SPDX-License-Identifier: MIT */
/* The table of indirect jumps' targets (engines/translator/layout.h). */
#include "engines/translator/layout.h"
#include "tests/unit/unit.h"

/* Its code is NULL, and a guest may jump to any address, the last of all among them. */
static void no_address_finds_an_empty_jump_target(void **state)
{
	for (unsigned i = 0; i < JUMP_TARGETS; i++)
		assert_int_not_equal(jump_target_empty(i).linear & (JUMP_TARGETS - 1), i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_address_finds_an_empty_jump_target),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
