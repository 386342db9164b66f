/* SPDX-License-Identifier: MIT */
#include "devices/pc/rtc.h"
#include "base/bits.h"
#include "base/memory.h"
#include "devices/pc/calendar.h"
#include "devices/region.h"

#define NS_PER_SECOND 1000000000
#define UPDATE_WARNING_NS 244000 /* UIP is up that long before the time changes */
#define OSCILLATOR_HZ 32768
#define SECONDS_PER_DAY 86400

enum rtc_byte {
	RTC_SECOND,
	RTC_SECOND_ALARM,
	RTC_MINUTE,
	RTC_MINUTE_ALARM,
	RTC_HOUR,
	RTC_HOUR_ALARM,
	RTC_WEEKDAY,
	RTC_DAY,
	RTC_MONTH,
	RTC_YEAR,
	RTC_A,
	RTC_B,
	RTC_C,
	RTC_D,
	CMOS_EQUIPMENT = 0x14,
	CMOS_BASE_MEMORY = 0x15,     /* KiB below 640 KiB; 2 bytes */
	CMOS_EXTENDED_MEMORY = 0x17, /* KiB from 1 MiB on, 63 MiB at most; 2 bytes, again at 0x30 */
	CMOS_CHECKSUM = 0x2e,	     /* of 0x10 to 0x2d, high byte first */
	CMOS_EXTENDED_MEMORY_2 = 0x30,
	RTC_CENTURY = 0x32,
	CMOS_MEMORY_64K = 0x34,	 /* 64 KiB units from 16 MiB on; 2 bytes */
	CMOS_HIGH_MEMORY = 0x5b, /* 64 KiB units from 4 GiB on; 3 bytes */
};

enum register_a { A_RATE = 0xf, A_DIVIDER = 0x70, A_UPDATE_IN_PROGRESS = 0x80 };
enum register_b { B_24_HOURS = 1 << 1, B_BINARY = 1 << 2, B_SET = 1 << 7 };
/* The same bits enable in B and tell in C. */
enum register_c { C_UPDATE = 1 << 4, C_ALARM = 1 << 5, C_PERIODIC = 1 << 6, C_INTERRUPT = 1 << 7 };

#define D_VALID_RAM_AND_TIME 0x80
#define HOUR_PM 0x80

/* ---- time ---- */

static u64 clock_ns(const struct rtc *rtc)
{
	return clock_wall_ns(&rtc->device.machine->clock) + (u64)rtc->offset_ns;
}

/* SET, or the divider held in reset (110, 111). */
static bool is_stopped(const struct rtc *rtc)
{
	return rtc->bytes[RTC_B] & B_SET || (rtc->bytes[RTC_A] & 0x60) == 0x60;
}

static u8 to_format(const struct rtc *rtc, unsigned value)
{
	return (u8)(rtc->bytes[RTC_B] & B_BINARY ? value : value / 10 << 4 | value % 10);
}

static u8 from_format(const struct rtc *rtc, u8 value)
{
	return (u8)(rtc->bytes[RTC_B] & B_BINARY ? value : (value >> 4) * 10 + (value & 15));
}

static u8 to_hour(const struct rtc *rtc, unsigned hour)
{
	if (rtc->bytes[RTC_B] & B_24_HOURS)
		return to_format(rtc, hour);
	return to_format(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static u8 from_hour(const struct rtc *rtc, u8 value)
{
	if (rtc->bytes[RTC_B] & B_24_HOURS)
		return from_format(rtc, value);
	return (u8)(from_format(rtc, value & 0x7f) % 12 + (value & HOUR_PM ? 12 : 0));
}

/* The running clock's time into its bytes. */
static void bytes_update(struct rtc *rtc)
{
	struct calendar now = calendar_from_seconds(clock_ns(rtc) / NS_PER_SECOND);

	rtc->bytes[RTC_SECOND] = to_format(rtc, now.second);
	rtc->bytes[RTC_MINUTE] = to_format(rtc, now.minute);
	rtc->bytes[RTC_HOUR] = to_hour(rtc, now.hour);
	rtc->bytes[RTC_WEEKDAY] = to_format(rtc, now.weekday);
	rtc->bytes[RTC_DAY] = to_format(rtc, now.day);
	rtc->bytes[RTC_MONTH] = to_format(rtc, now.month);
	rtc->bytes[RTC_YEAR] = to_format(rtc, now.year % 100);
	rtc->bytes[RTC_CENTURY] = to_format(rtc, now.year / 100 % 100);
}

static u64 bytes_to_seconds(const struct rtc *rtc)
{
	struct calendar time = {
		.year = from_format(rtc, rtc->bytes[RTC_CENTURY]) * 100u +
			from_format(rtc, rtc->bytes[RTC_YEAR]),
		.month = from_format(rtc, rtc->bytes[RTC_MONTH]),
		.day = from_format(rtc, rtc->bytes[RTC_DAY]),
		.hour = from_hour(rtc, rtc->bytes[RTC_HOUR]),
		.minute = from_format(rtc, rtc->bytes[RTC_MINUTE]),
		.second = from_format(rtc, rtc->bytes[RTC_SECOND]),
	};

	return calendar_to_seconds(&time);
}

/* The clock runs on from its bytes, with a fraction of a second of its own. */
static void clock_set(struct rtc *rtc, u64 fraction_ns)
{
	u64 time_ns = bytes_to_seconds(rtc) * NS_PER_SECOND + fraction_ns;

	rtc->offset_ns = (i64)(time_ns - clock_wall_ns(&rtc->device.machine->clock));
	rtc->checked_ns = time_ns;
}

/* ---- interrupts ---- */

static bool alarm_matches(const struct rtc *rtc, unsigned alarm, u8 value)
{
	return rtc->bytes[alarm] >= 0xc0 || rtc->bytes[alarm] == value;
}

static bool alarm_can_match(const struct rtc *rtc, unsigned alarm)
{
	for (unsigned i = 0; i < 60; i++)
		if (alarm_matches(rtc, alarm, to_format(rtc, i)))
			return true;
	return false;
}

/* How many seconds from after `second` on until the alarm; a day and more: never. */
static u32 seconds_to_alarm(const struct rtc *rtc, u64 second)
{
	u32 first = (u32)(second % SECONDS_PER_DAY) + 1, at = first;

	if (!alarm_can_match(rtc, RTC_SECOND_ALARM) || !alarm_can_match(rtc, RTC_MINUTE_ALARM))
		return SECONDS_PER_DAY + 1;
	while (at < first + SECONDS_PER_DAY) {
		u32 of_day = at % SECONDS_PER_DAY;
		if (!alarm_matches(rtc, RTC_HOUR_ALARM, to_hour(rtc, of_day / 3600)))
			at += 3600 - of_day % 3600;
		else if (!alarm_matches(rtc, RTC_MINUTE_ALARM, to_format(rtc, of_day / 60 % 60)))
			at += 60 - of_day % 60;
		else if (!alarm_matches(rtc, RTC_SECOND_ALARM, to_format(rtc, of_day % 60)))
			at++;
		else
			return at - first + 1;
	}
	return SECONDS_PER_DAY + 1;
}

/* Oscillator cycles a periodic interrupt, or 0: data sheet, table 5 (rates 1 and 2 are 8 and 9). */
static u64 periodic_cycles(const struct rtc *rtc)
{
	unsigned rate = rtc->bytes[RTC_A] & A_RATE;

	if (!rate)
		return 0;
	return BIT(rate < 3 ? rate + 6 : rate - 1);
}

static u64 ns_to_cycles(u64 ns)
{
	return clock_scale(ns, OSCILLATOR_HZ, NS_PER_SECOND);
}

/* The flags of all that has happened since the last look. */
static void flags_update(struct rtc *rtc)
{
	u64 from = rtc->checked_ns, to = clock_ns(rtc), cycles = periodic_cycles(rtc);
	u8 *flags = &rtc->bytes[RTC_C];

	rtc->checked_ns = to;
	if (is_stopped(rtc) || to <= from)
		return;
	if (cycles && ns_to_cycles(from) / cycles != ns_to_cycles(to) / cycles)
		*flags |= C_PERIODIC;
	u64 first = from / NS_PER_SECOND, last = to / NS_PER_SECOND;
	if (first == last)
		return;
	*flags |= C_UPDATE;
	if (!(*flags & C_ALARM) && seconds_to_alarm(rtc, first) <= last - first)
		*flags |= C_ALARM;
}

/* When an enabled flag that is still down comes next, in the clock's time. */
static u64 next_flag_ns(const struct rtc *rtc)
{
	u8 waited = rtc->bytes[RTC_B] & (u8)~rtc->bytes[RTC_C];
	u64 now = rtc->checked_ns, second = now / NS_PER_SECOND, cycles = periodic_cycles(rtc);
	u64 next = TIME_NEVER;

	if (waited & C_UPDATE)
		next = (second + 1) * NS_PER_SECOND;
	else if (waited & C_ALARM)
		next = (second + seconds_to_alarm(rtc, second)) * NS_PER_SECOND;
	if (waited & C_PERIODIC && cycles) {
		u64 cycle = (ns_to_cycles(now) / cycles + 1) * cycles;
		u64 at = clock_scale(cycle, NS_PER_SECOND, OSCILLATOR_HZ) + 1;
		next = MIN(next, at);
	}
	return next;
}

/* Brings flags, wire and event up to date. No event is needed while the wire is up: reading C comes first. */
static void rtc_update(struct rtc *rtc)
{
	u8 *flags = &rtc->bytes[RTC_C];

	flags_update(rtc);
	bool level = *flags & rtc->bytes[RTC_B] & (C_UPDATE | C_ALARM | C_PERIODIC);
	*flags = (u8)((*flags & ~C_INTERRUPT) | (level ? C_INTERRUPT : 0));
	irq_set(&rtc->irq, level);
	u64 next = level || is_stopped(rtc) ? TIME_NEVER : next_flag_ns(rtc);
	if (next == TIME_NEVER)
		event_cancel(&rtc->next);
	else
		event_set(&rtc->next,
			clock_now_ns(&rtc->device.machine->clock) + (next - rtc->checked_ns));
}

static void rtc_fire(void *owner)
{
	rtc_update(owner);
}

/* ---- ports ---- */

static bool is_time_byte(unsigned index)
{
	return index == RTC_SECOND || index == RTC_MINUTE || index == RTC_HOUR ||
		(index >= RTC_WEEKDAY && index <= RTC_YEAR) || index == RTC_CENTURY;
}

static u8 byte_read(struct rtc *rtc)
{
	u8 value;

	if (is_time_byte(rtc->index) && !is_stopped(rtc))
		bytes_update(rtc);
	value = rtc->bytes[rtc->index];
	if (rtc->index == RTC_A && !is_stopped(rtc) &&
		clock_ns(rtc) % NS_PER_SECOND >= NS_PER_SECOND - UPDATE_WARNING_NS)
		value |= A_UPDATE_IN_PROGRESS;
	if (rtc->index == RTC_C) {
		rtc_update(rtc);
		value = rtc->bytes[RTC_C];
		rtc->bytes[RTC_C] = 0;
		rtc_update(rtc);
	}
	return value;
}

/* A write of A or B. The bytes hold the time while the clock stands, and in the format then chosen. */
static void control_write(struct rtc *rtc, unsigned index, u8 value)
{
	bool was_stopped = is_stopped(rtc), was_reset = (rtc->bytes[RTC_A] & 0x60) == 0x60;
	u64 fraction_ns = clock_ns(rtc) % NS_PER_SECOND;

	flags_update(rtc);
	if (!was_stopped)
		bytes_update(rtc);
	if (index == RTC_A)
		value &= (u8)~A_UPDATE_IN_PROGRESS;
	else if (value & B_SET)
		value &= (u8)~C_UPDATE; /* SET clears UIE */
	rtc->bytes[index] = value;
	/* After the divider's reset the first update comes half a second later: data sheet, register A. */
	if (was_stopped && !is_stopped(rtc))
		clock_set(rtc, was_reset ? NS_PER_SECOND / 2 : fraction_ns);
	rtc_update(rtc);
}

static void byte_write(struct rtc *rtc, u8 value)
{
	switch (rtc->index) {
	case RTC_A:
	case RTC_B:
		control_write(rtc, rtc->index, value);
		return;
	case RTC_C:
	case RTC_D:
		return; /* read-only */
	}
	if (is_time_byte(rtc->index) && !is_stopped(rtc)) {
		u64 fraction_ns = clock_ns(rtc) % NS_PER_SECOND;
		flags_update(rtc);
		bytes_update(rtc);
		rtc->bytes[rtc->index] = value;
		clock_set(rtc, fraction_ns);
	}
	rtc->bytes[rtc->index] = value;
	rtc_update(rtc);
}

static void rtc_access(void *owner, struct bus_access *access)
{
	struct rtc *rtc = owner;

	if (access->address == 0) {
		if (access->is_write)
			rtc->index = access->value &
				0x7f; /* bit 7 masks NMI: there is none on this wire */
		else
			access->value = 0xff; /* write-only */
	} else if (access->is_write) {
		byte_write(rtc, (u8)access->value);
	} else {
		access->value = byte_read(rtc);
	}
}

/* ---- reset, state, creation ---- */

/* A battery keeps time and RAM; RESET# clears the enables and flags: data sheet, "RESET". */
static void rtc_reset(struct device *device)
{
	struct rtc *rtc = container_of(device, struct rtc, device);

	if (is_stopped(rtc))
		control_write(rtc, RTC_A, 0x26);
	control_write(rtc, RTC_B,
		rtc->bytes[RTC_B] & (u8) ~(B_SET | C_UPDATE | C_ALARM | C_PERIODIC | 1 << 3));
	rtc->index = 0;
	rtc->bytes[RTC_C] = 0;
	rtc->checked_ns = clock_ns(rtc);
	rtc_update(rtc);
}

static void put_16(struct rtc *rtc, unsigned index, u64 value)
{
	value = MIN(value, 0xffff);
	rtc->bytes[index] = (u8)value;
	rtc->bytes[index + 1] = (u8)(value >> 8);
}

static void put_memory(struct rtc *rtc, u64 low_bytes, u64 high_bytes)
{
	u64 above_1m = low_bytes > MIB ? low_bytes - MIB : 0;
	u64 above_16m = low_bytes > 16 * MIB ? low_bytes - 16 * MIB : 0;
	u64 high_units = MIN(high_bytes / (64 * KIB), 0xffffff);
	unsigned sum = 0;

	rtc->bytes[CMOS_EQUIPMENT] = 0x02; /* a numeric processor */
	put_16(rtc, CMOS_BASE_MEMORY, MIN(low_bytes / KIB, 640));
	put_16(rtc, CMOS_EXTENDED_MEMORY, MIN(above_1m, 63 * MIB) / KIB);
	put_16(rtc, CMOS_EXTENDED_MEMORY_2, MIN(above_1m, 63 * MIB) / KIB);
	put_16(rtc, CMOS_MEMORY_64K, above_16m / (64 * KIB));
	put_16(rtc, CMOS_HIGH_MEMORY, high_units & 0xffff);
	rtc->bytes[CMOS_HIGH_MEMORY + 2] = (u8)(high_units >> 16);
	for (unsigned i = 0x10; i < CMOS_CHECKSUM; i++)
		sum += rtc->bytes[i];
	rtc->bytes[CMOS_CHECKSUM] = (u8)(sum >> 8);
	rtc->bytes[CMOS_CHECKSUM + 1] = (u8)sum;
}

static bool rtc_loaded(void *object)
{
	struct rtc *rtc = object;

	return rtc->index < RTC_BYTES;
}

static const struct state_field rtc_fields[] = {
	STATE_UINT(struct rtc, index),
	STATE_BLOB(struct rtc, bytes),
	STATE_UINT(struct rtc, offset_ns),
	STATE_UINT(struct rtc, checked_ns),
	STATE_TIMER(struct rtc, next),
};
static const struct state_table rtc_state = STATE_TABLE("rtc", 1, rtc_fields, rtc_loaded);
static const struct device_ops rtc_ops = {"rtc", rtc_reset, &rtc_state};

enum status rtc_init(struct rtc *rtc, struct machine *machine, u16 base, struct irq irq,
	u64 low_bytes, u64 high_bytes)
{
	memset(rtc, 0, sizeof(*rtc));
	rtc->irq = irq;
	rtc->bytes[RTC_A] = 0x26; /* 32.768 kHz, 1,024 Hz */
	rtc->bytes[RTC_B] = B_24_HOURS;
	rtc->bytes[RTC_D] = D_VALID_RAM_AND_TIME;
	put_memory(rtc, low_bytes, high_bytes);
	enum status status =
		region_attach(machine, &rtc->region, "rtc", BUS_PORT, base, 2, 1, rtc_access, rtc);
	if (status != STATUS_OK)
		return status;
	event_init(&rtc->next, machine, rtc_fire, rtc);
	device_attach(machine, &rtc->device, &rtc_ops, "rtc", rtc);
	return STATUS_OK;
}
