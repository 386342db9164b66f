/* SPDX-License-Identifier: MIT */
/* The machine's end. */
#ifndef HOSTS_METAL_POWER_H
#define HOSTS_METAL_POWER_H

#include "base/types.h"

/* For tests under QEMU: the port of its isa-debug-exit device, at which a failure ends the machine with a status. 0: none. */
void power_set_exit_port(u16 port);
/* By ACPI's S5. Returns only where that does nothing. */
void power_off(void);
/* Where there is an exit port, with a status that is not 0; otherwise returns. */
void power_fail(void);

#endif
