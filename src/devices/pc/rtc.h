/* SPDX-License-Identifier: MIT */
/*
 * MC146818 real-time clock and 128 bytes of CMOS RAM. Source: Motorola MC146818A data sheet; what PCs keep in the RAM:
 * IBM PC AT technical reference, and the century byte at 0x32.
 *
 * The time is the machine's wall clock plus an offset that the guest sets by setting the time; UTC.
 */
#ifndef DEVICES_PC_RTC_H
#define DEVICES_PC_RTC_H

#include "core/device.h"
#include "core/event.h"
#include "core/irq.h"

#define RTC_BYTES 128

struct rtc {
	struct device device;
	struct bus_region region;
	struct irq irq;
	u8 index;	     /* last written to the index port */
	u8 bytes[RTC_BYTES]; /* the time of day is valid here only while the clock is stopped */
	i64 offset_ns;	     /* the clock's time - the machine's wall clock */
	u64 checked_ns;	     /* the clock's time up to which events have been noticed */
	struct event next;   /* when an enabled interrupt may come */
};

/* Two ports at base. low_bytes: RAM below 4 GiB, high_bytes: from 4 GiB on. */
enum status rtc_init(struct rtc *rtc, struct machine *machine, u16 base, struct irq irq,
	u64 low_bytes, u64 high_bytes) must_use;

#endif
