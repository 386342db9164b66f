/* SPDX-License-Identifier: MIT */
/* Power-off by ACPI's tables. */
#include "acpi.h"

void guest_main(void)
{
	power_off();
}
