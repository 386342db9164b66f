/* SPDX-License-Identifier: MIT */
/* Time, from the TSC: all processors' count alike and always at one rate. What it says is core/host.h's and core/host_processor.h's. */
#ifndef HOSTS_METAL_TIME_TSC_H
#define HOSTS_METAL_TIME_TSC_H

/* Measures it against ACPI's timer or the 8254, and reads the real-time clock. Once, after acpi_init. */
void tsc_init(void);

#endif
