/* SPDX-License-Identifier: MIT */
/* Another processor than the first ends the guest, while others sleep and run. */
#include "smp.h"

static void end(unsigned cpu)
{
	if (cpu == 3)
		finish();
	for (;;)
		if (cpu == 2)
			__asm__ volatile("cli; hlt");
		else
			__asm__ volatile("pause");
}

void guest_main(void)
{
	check("all start", smp_start());
	smp_run(end);
	print("came back: NO\n");
	failed = 1;
}
