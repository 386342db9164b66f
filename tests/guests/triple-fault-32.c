/* SPDX-License-Identifier: MIT */
/*
 * A fault that cannot be delivered, nor the double fault after it, shuts the processor down: on a
 * PC, a reset.
 */
#include "guest.h"

void guest_main(void)
{
	struct table_pointer none = {0, 0};

	print("shutting down: yes\n");
	lidt(&none);
	__asm__ volatile("ud2");
	print("came back: NO\n");
}
