/* SPDX-License-Identifier: MIT */
#include "hosts/metal/time/calendar_clock.h"
#include "base/bits.h"
#include "base/memory.h"
#include "hosts/metal/instructions.h"

enum rtc_register {
	RTC_SECOND = 0,
	RTC_MINUTE = 2,
	RTC_HOUR = 4,
	RTC_DAY = 7,
	RTC_MONTH = 8,
	RTC_YEAR = 9,
	RTC_A = 10,
	RTC_B = 11,
	RTC_CENTURY = 0x32
};
#define RTC_A_UPDATING BIT(7)
#define RTC_B_BINARY BIT(2)
#define RTC_B_24_HOURS BIT(1)
#define RTC_HOUR_PM BIT(7)

enum { SECOND, MINUTE, HOUR, DAY, MONTH, YEAR, FIELDS };

static u8 rtc_read(u8 reg)
{
	port_write_8(0x70, reg);
	return port_read_8(0x71);
}

static void read_fields(u8 fields[FIELDS])
{
	static const u8 registers[FIELDS] = {
		RTC_SECOND, RTC_MINUTE, RTC_HOUR, RTC_DAY, RTC_MONTH, RTC_YEAR};
	while (rtc_read(RTC_A) & RTC_A_UPDATING)
		cpu_pause();
	for (unsigned i = 0; i < FIELDS; i++)
		fields[i] = rtc_read(registers[i]);
}

static unsigned from_bcd(unsigned value)
{
	return (value >> 4) * 10 + (value & 15);
}

/* Days since 1970-01-01 of a date in the Gregorian calendar, 1970 to 2099: each fourth year leaps. */
static u64 days_since_1970(unsigned year, unsigned month, unsigned day)
{
	static const u16 before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	u64 days = (u64)(year - 1970) * 365 + (year - 1969) / 4;
	return days + before[(month - 1) % 12] + (month > 2 && year % 4 == 0) + day - 1;
}

u64 calendar_clock_read_ns(void)
{
	u8 fields[FIELDS], again[FIELDS];
	unsigned values[FIELDS];
	u8 mode = rtc_read(RTC_B);

	do { /* twice the same: no update came between */
		read_fields(fields);
		read_fields(again);
	} while (memcmp(fields, again, sizeof(fields)));
	bool afternoon = !(mode & RTC_B_24_HOURS) && (fields[HOUR] & RTC_HOUR_PM);
	fields[HOUR] &= (u8)~RTC_HOUR_PM;
	for (unsigned i = 0; i < FIELDS; i++)
		values[i] = mode & RTC_B_BINARY ? fields[i] : from_bcd(fields[i]);
	if (!(mode & RTC_B_24_HOURS))
		values[HOUR] = values[HOUR] % 12 + (afternoon ? 12 : 0);
	u64 days = days_since_1970(2000 + values[YEAR], MAX(values[MONTH], 1u), values[DAY]);
	return (((days * 24 + values[HOUR]) * 60 + values[MINUTE]) * 60 + values[SECOND]) *
		1000000000;
}
