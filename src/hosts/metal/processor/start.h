/* SPDX-License-Identifier: MIT */
/* The machine's other processors, from INIT to their idle threads. SDM volume 3, 8.4.4. */
#ifndef HOSTS_METAL_PROCESSOR_START_H
#define HOSTS_METAL_PROCESSOR_START_H

/* Those that ACPI lists, one after the other; one that does not come is told, and left out. */
void processors_start(void);

#endif
