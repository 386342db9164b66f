/* SPDX-License-Identifier: MIT */
/* Another processor than the first asks for a reset, while all run. */
#include "smp.h"

static void end(unsigned cpu)
{
	if (cpu == 2)
		outb(0xcf9, 0x06);
	for (;;)
		__asm__ volatile("pause");
}

void guest_main(void)
{
	outb(0xcf9, 0x02);
	check("all start", smp_start());
	smp_run(end);
	print("came back: NO\n");
	failed = 1;
}
