/* SPDX-License-Identifier: MIT */
/* A reset that software asks for. */
#include "guest.h"

void guest_main(void)
{
	print("resetting: yes\n");
	outb(0x64, 0xfe);
	for (volatile int i = 0; i < 10000000; i++)
		;
	print("came back: NO\n");
	failed = 1;
}
