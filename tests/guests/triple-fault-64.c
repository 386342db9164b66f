/* SPDX-License-Identifier: MIT */
/*
 * A fault that cannot be delivered, nor the double fault after it, shuts the processor down: on a
 * PC, a reset.
 */
#include "guest.h"

void guest_main(void)
{
	print("shutting down: yes\n");
	/*
	 * the stack cannot be written, and #DF has no stack of its own: page fault, double fault,
	 * shutdown
	 */
	__asm__ volatile("mov $0x600000000000, %rsp\n push %rax");
	print("came back: NO\n");
}
