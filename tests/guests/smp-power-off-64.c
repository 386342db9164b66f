/* SPDX-License-Identifier: MIT */
/* Another processor than the first powers off, while others sleep and run. */
#include "smp.h"

#include "acpi.h"

static void end(unsigned cpu)
{
	if (cpu == 1)
		power_off();
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
}
