/* SPDX-License-Identifier: MIT */
/* Self-modifying code without paging. */
#include "code.h"

void guest_main(void)
{
	test_code();
}
