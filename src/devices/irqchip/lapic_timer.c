/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's timer: APM volume 2, 16.4.1; TSC deadline: SDM volume 3, 11.5.4.1. A count is never stored: it is what
 * is left until timer_expiry_ns, so it can't drift.
 */
#include "core/vcpu.h"
#include "devices/irqchip/lapic_internal.h"

/* A guest that sets a shorter period gets its interrupts bundled: nothing could serve them one by one. */
#define PERIOD_MINIMUM_NS 10000

/* Nanoseconds a count, as a shift: the bus clock is 1 GHz. */
static unsigned divide_shift(const struct lapic *lapic)
{
	u32 divide = lapic->registers[LAPIC_TIMER_DIVIDE];

	return ((divide & 3) + (divide >> 1 & 4) + 1) & 7;
}

static u64 now_ns(const struct lapic *lapic)
{
	return clock_now_ns(&lapic->all->machine->clock);
}

void lapic_timer_stop(struct lapic *lapic)
{
	lapic->timer_expiry_ns = 0;
	lapic->tsc_deadline = 0;
	event_cancel(&lapic->timer);
}

u32 lapic_timer_count(const struct lapic *lapic)
{
	u64 now = now_ns(lapic), expiry = lapic->timer_expiry_ns, left;
	unsigned shift = divide_shift(lapic);
	u64 period = (u64)lapic->registers[LAPIC_TIMER_INITIAL] << shift;

	if (lapic_timer_mode(lapic) >= TIMER_TSC_DEADLINE || !expiry)
		return 0;
	if (lapic_timer_mode(lapic) == TIMER_ONE_SHOT || !period)
		left = now < expiry ? expiry - now : 0;
	else if (now <
		expiry) /* the event may be several periods away, or late: the count goes on */
		left = (expiry - now - 1) % period + 1;
	else
		left = period - (now - expiry) % period;
	return (u32)((left + bits_mask(shift)) >> shift);
}

static void run_from(struct lapic *lapic, u64 expiry_ns)
{
	lapic->timer_expiry_ns = expiry_ns;
	event_set(&lapic->timer, expiry_ns);
}

void lapic_timer_start(struct lapic *lapic)
{
	u32 initial = lapic->registers[LAPIC_TIMER_INITIAL];

	if (lapic_timer_mode(lapic) >= TIMER_TSC_DEADLINE)
		return;
	lapic_timer_stop(lapic);
	if (initial)
		run_from(lapic, now_ns(lapic) + ((u64)initial << divide_shift(lapic)));
}

void lapic_timer_set_divide(struct lapic *lapic, u32 value)
{
	u32 left = lapic_timer_count(lapic);

	lapic->registers[LAPIC_TIMER_DIVIDE] = value & 0xb;
	if (left)
		run_from(lapic, now_ns(lapic) + ((u64)left << divide_shift(lapic)));
}

void lapic_timer_set_mode(struct lapic *lapic, u32 lvt)
{
	bool was_deadline = lapic_timer_mode(lapic) == TIMER_TSC_DEADLINE;
	bool is_deadline = bits_get(lvt, 17, 2) == TIMER_TSC_DEADLINE;

	if (was_deadline == is_deadline)
		return;
	lapic_timer_stop(lapic);
	lapic->registers[LAPIC_TIMER_INITIAL] = 0;
}

/* The machine's time at which the guest's TSC reaches the deadline; 0 where it has. */
static u64 deadline_to_ns(const struct lapic *lapic)
{
	const struct clock *clock = &lapic->all->machine->clock;
	u64 machine_tsc = clock_tsc(clock);
	u64 guest_tsc = machine_tsc + lapic->vcpu->tsc_offset;

	if (lapic->tsc_deadline <= guest_tsc)
		return 0;
	u64 ahead = lapic->tsc_deadline - guest_tsc;
	if (ahead > ~machine_tsc)
		return TIME_NEVER;
	return clock_tsc_to_ns(clock, machine_tsc + ahead);
}

static void fire_or_wait_for_deadline(struct lapic *lapic)
{
	u64 deadline_ns = deadline_to_ns(lapic);

	if (deadline_ns) {
		event_set(&lapic->timer, deadline_ns);
		return;
	}
	lapic->tsc_deadline = 0;
	lapic_lvt_fire(lapic, LAPIC_LVT_TIMER);
}

void lapic_timer_set_deadline(struct lapic *lapic, u64 tsc)
{
	if (lapic_timer_mode(lapic) != TIMER_TSC_DEADLINE)
		return;
	lapic_timer_stop(lapic);
	lapic->tsc_deadline = tsc;
	if (tsc)
		fire_or_wait_for_deadline(lapic);
}

/* Expiries that were missed while the host was busy are one interrupt, as on a processor whose IRR bit was set already. */
static void restart_period(struct lapic *lapic)
{
	u64 period = (u64)lapic->registers[LAPIC_TIMER_INITIAL] << divide_shift(lapic);
	u64 now = now_ns(lapic), expiry = lapic->timer_expiry_ns;

	if (!period)
		return;
	if (period < PERIOD_MINIMUM_NS)
		period *= (PERIOD_MINIMUM_NS + period - 1) / period;
	expiry += period;
	if (expiry <= now)
		expiry += ((now - expiry) / period + 1) * period;
	run_from(lapic, expiry);
}

void lapic_timer_fire(void *owner)
{
	struct lapic *lapic = owner;

	if (lapic_timer_mode(lapic) == TIMER_TSC_DEADLINE) {
		if (lapic->tsc_deadline)
			fire_or_wait_for_deadline(lapic);
		return;
	}
	if (lapic_timer_mode(lapic) == TIMER_PERIODIC)
		restart_period(lapic);
	else
		lapic->timer_expiry_ns = 0;
	lapic_lvt_fire(lapic, LAPIC_LVT_TIMER);
}

void lapic_timer_catch_up(struct lapic *lapic)
{
	if (lapic->timer.deadline_ns > now_ns(lapic))
		return;
	event_cancel(&lapic->timer);
	lapic_timer_fire(lapic);
}
