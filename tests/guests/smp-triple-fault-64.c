/* SPDX-License-Identifier: MIT */
/* Another processor than the first shuts down, while all run: on a PC, a reset. */
#include "smp.h"

static void end(unsigned cpu)
{
	if (cpu == 2)
		__asm__ volatile("mov $0x600000000000, %rsp\n push %rax");
	for (;;)
		__asm__ volatile("pause");
}

void guest_main(void)
{
	check("all start", smp_start());
	smp_run(end);
	print("came back: NO\n");
	failed = 1;
}
