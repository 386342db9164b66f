/* SPDX-License-Identifier: MIT */
/* Seconds since 1970 and the Gregorian calendar, in UTC without leap seconds. */
#ifndef DEVICES_PC_CALENDAR_H
#define DEVICES_PC_CALENDAR_H

#include "base/types.h"

struct calendar {
	u32 year;      /* 1970 and later */
	u8 month, day; /* from 1 */
	u8 weekday;    /* 1: Sunday */
	u8 hour, minute, second;
};

struct calendar calendar_from_seconds(u64 seconds);
/* Any values: those out of range are carried over (month 13 is next year's January); below 1970 is 1970. */
u64 calendar_to_seconds(const struct calendar *calendar);

#endif
