/* SPDX-License-Identifier: MIT */
/*
 * A machine's time: nanoseconds since it was created, not counting while it was stopped. All chips take time from
 * here only. CLOCK_REAL follows the host's monotonic clock. CLOCK_INSTRUCTIONS counts one nanosecond an instruction and leaps
 * to the next event when all vCPUs are halted: the same run twice is the same run.
 */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include "base/types.h"

struct state_table;

enum clock_kind { CLOCK_REAL, CLOCK_INSTRUCTIONS };

struct clock {
	u8 kind; /* enum clock_kind */
	bool is_running;
	u64 tsc_hz;	   /* the machine's TSC: fixed at creation, saved with it */
	u64 offset_ns;	   /* REAL: now = host time + offset (wrapping); stopped: now = offset */
	u64 now_ns;	   /* INSTRUCTIONS: the time itself, advanced by clock_advance */
	u64 wall_start_ns; /* UTC at time 0 */
};

void clock_init(struct clock *clock, enum clock_kind kind, u64 tsc_hz, u64 wall_start_ns);
void clock_start(struct clock *clock);
void clock_stop(struct clock *clock);
u64 clock_now_ns(const struct clock *clock);
/* CLOCK_INSTRUCTIONS only: time passes. */
void clock_advance(struct clock *clock, u64 ns);
/* TSC of an unadjusted processor: now * tsc_hz / 1e9, from 0 at creation. */
u64 clock_tsc(const struct clock *clock);
u64 clock_tsc_to_ns(const struct clock *clock, u64 tsc); /* rounded up; saturating */
u64 clock_wall_ns(const struct clock *clock);		 /* UTC as the guest should see it */

/* a * b / c with a 128-bit product, saturating. c is not 0. */
u64 clock_scale(u64 a, u64 b, u64 c);

extern const struct state_table clock_state;

#endif
