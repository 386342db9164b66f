/* SPDX-License-Identifier: MIT */
/* The machine's time. */
#include "core/clock.h"
#include "core/host.h"
#include "core/state.h"

u64 clock_scale(u64 a, u64 b, u64 c)
{
	u128 product = (u128)a * b;
	if ((u64)(product >> 64) >= c)
		return ~(u64)0;
	u64 quotient, remainder;
	__asm__("divq %4"
		: "=a"(quotient), "=d"(remainder)
		: "a"((u64)product), "d"((u64)(product >> 64)), "r"(c)
		: "cc");
	return quotient;
}

void clock_init(struct clock *clock, enum clock_kind kind, u64 tsc_hz, u64 wall_start_ns)
{
	*clock = (struct clock){.kind = kind, .tsc_hz = tsc_hz, .wall_start_ns = wall_start_ns};
}

void clock_start(struct clock *clock)
{
	if (clock->is_running)
		return;
	if (clock->kind == CLOCK_REAL)
		clock->offset_ns -= host_time_ns();
	clock->is_running = true;
}

void clock_stop(struct clock *clock)
{
	if (!clock->is_running)
		return;
	if (clock->kind == CLOCK_REAL)
		clock->offset_ns += host_time_ns();
	clock->is_running = false;
}

u64 clock_now_ns(const struct clock *clock)
{
	if (clock->kind == CLOCK_INSTRUCTIONS)
		return clock->now_ns;
	return clock->is_running ? host_time_ns() + clock->offset_ns : clock->offset_ns;
}

void clock_advance(struct clock *clock, u64 ns)
{
	clock->now_ns += ns;
}

u64 clock_tsc(const struct clock *clock)
{
	return clock_scale(clock_now_ns(clock), clock->tsc_hz, 1000000000);
}

u64 clock_tsc_to_ns(const struct clock *clock, u64 tsc)
{
	u64 ns = clock_scale(tsc, 1000000000, clock->tsc_hz);
	/* The first nanosecond at which clock_tsc has reached tsc. */
	while (ns != ~(u64)0 && clock_scale(ns, clock->tsc_hz, 1000000000) < tsc)
		ns++;
	return ns;
}

u64 clock_wall_ns(const struct clock *clock)
{
	return clock->wall_start_ns + clock_now_ns(clock);
}

/* A real clock is saved stopped: offset_ns is then the time itself. */
static const struct state_field clock_fields[] = {
	STATE_UINT(struct clock, kind),
	STATE_UINT(struct clock, tsc_hz),
	STATE_UINT(struct clock, offset_ns),
	STATE_UINT(struct clock, now_ns),
	STATE_UINT(struct clock, wall_start_ns),
};

static bool clock_loaded(void *object)
{
	struct clock *clock = object;
	return clock->kind <= CLOCK_INSTRUCTIONS && clock->tsc_hz >= 1000000 &&
		clock->tsc_hz <= 100000000000 && clock_now_ns(clock) < (u64)1 << 62;
}

const struct state_table clock_state = STATE_TABLE("clock", 1, clock_fields, clock_loaded);
