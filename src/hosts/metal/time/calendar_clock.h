/* SPDX-License-Identifier: MIT */
/* The battery-backed clock of a PC, an MC146818. */
#ifndef HOSTS_METAL_TIME_CALENDAR_CLOCK_H
#define HOSTS_METAL_TIME_CALENDAR_CLOCK_H

#include "base/types.h"

/* Nanoseconds since 1970, to the second. */
u64 calendar_clock_read_ns(void);

#endif
