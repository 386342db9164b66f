/* SPDX-License-Identifier: MIT */
#include "devices/pc/calendar.h"

#define SECONDS_PER_DAY 86400
/* Years begin with March here, so that the leap day is a year's last: day 0 is 0000-03-01. */
#define DAYS_TO_1970 719468
#define DAYS_PER_400_YEARS 146097

/* Days from 0000-03-01 to the first of a month; month 0 is March. */
static u64 days_to_month(u64 year, unsigned month)
{
	return year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5;
}

struct calendar calendar_from_seconds(u64 seconds)
{
	u64 days = seconds / SECONDS_PER_DAY + DAYS_TO_1970;
	u32 rest = (u32)(seconds % SECONDS_PER_DAY);
	u64 year = days * 400 / DAYS_PER_400_YEARS; /* at most one too many */

	while (days_to_month(year, 0) > days)
		year--;
	while (days_to_month(year + 1, 0) <= days)
		year++;
	unsigned day = (unsigned)(days - days_to_month(year, 0));
	unsigned month = (day * 5 + 2) / 153;
	return (struct calendar){
		.year = (u32)(year + (month >= 10)),
		.month = (u8)(month < 10 ? month + 3 : month - 9),
		.day = (u8)(day - (month * 153 + 2) / 5 + 1),
		.weekday = (u8)((days + 3) % 7 + 1),
		.hour = (u8)(rest / 3600),
		.minute = (u8)(rest / 60 % 60),
		.second = (u8)(rest % 60),
	};
}

u64 calendar_to_seconds(const struct calendar *calendar)
{
	unsigned month = calendar->month ? calendar->month - 1 : 0; /* from 0: January */
	u64 year = calendar->year + month / 12;

	month %= 12;
	u64 days =
		month >= 2 ? days_to_month(year, month - 2) : days_to_month(year - 1, month + 10);
	days += calendar->day ? calendar->day - 1 : 0;
	if (calendar->year < 1970 || days < DAYS_TO_1970)
		days = DAYS_TO_1970;
	return (days - DAYS_TO_1970) * SECONDS_PER_DAY + calendar->hour * 3600 +
		calendar->minute * 60 + calendar->second;
}
