/* SPDX-License-Identifier: MIT */
#include "devices/pc/pit8254.h"
#include "base/memory.h"
#include "devices/region.h"

#define NS_PER_SECOND 1000000000
/* Edges of counter 0 that come faster than this are bundled: nothing could serve them. */
#define EDGE_MINIMUM_TICKS 12
#define REFRESH_HALF_PERIOD_NS 15085

enum { ACCESS_LOW = 1, ACCESS_HIGH, ACCESS_BOTH };

static u64 pit_now(const struct pit8254 *pit)
{
	return clock_scale(clock_now_ns(&pit->device.machine->clock), PIT_HZ, NS_PER_SECOND);
}

/* The first nanosecond of a tick; TIME_NEVER past the end of time (a saved counter may start anywhere). */
static u64 tick_to_ns(u64 tick)
{
	u64 ns = clock_scale(tick, NS_PER_SECOND, PIT_HZ);

	if (ns == TIME_NEVER)
		return TIME_NEVER;
	return clock_scale(ns, PIT_HZ, NS_PER_SECOND) < tick ? ns + 1 : ns;
}

/* Modes 6 and 7 are 2 and 3. */
static unsigned counter_mode(const struct pit_counter *counter)
{
	unsigned mode = counter->control >> 1 & 7;

	return mode > 5 ? mode - 4 : mode;
}

static unsigned counter_access(const struct pit_counter *counter)
{
	return counter->control >> 4 & 3;
}

static bool is_periodic(const struct pit_counter *counter)
{
	unsigned mode = counter_mode(counter);

	return mode == 2 || mode == 3;
}

static u64 counter_elapsed(const struct pit_counter *counter, u64 now)
{
	if (counter->is_paused)
		return counter->paused_after;
	return now > counter->start ? now - counter->start : 0;
}

/* A count of 1 is not allowed in the periodic modes: it counts as 2. */
static u32 counter_period(const struct pit_counter *counter)
{
	return counter->reload < 2 ? 2 : counter->reload;
}

/* A new count of a periodic mode takes over at the end of the period in which it was written. */
static void counter_sync(struct pit_counter *counter, u64 now)
{
	u64 elapsed = counter_elapsed(counter, now);
	u64 period = counter_period(counter);

	if (!counter->is_counting || !is_periodic(counter) || elapsed < period)
		return;
	if (counter->has_next) {
		counter->start += period;
		counter->reload = counter->next_reload;
		counter->has_next = false;
		elapsed -= period;
		period = counter_period(counter);
	}
	counter->start += elapsed / period * period;
}

/* OUT as it is after `elapsed` ticks. */
static bool output_after(const struct pit_counter *counter, u64 elapsed)
{
	u64 reload = counter->reload;

	switch (counter_mode(counter)) {
	case 0:
		return counter->is_counting && elapsed >= reload;
	case 1:
		return !counter->is_counting || elapsed >= reload;
	case 2:
		return !counter->is_counting || !counter->gate ||
			elapsed % counter_period(counter) != counter_period(counter) - 1;
	case 3:
		return !counter->is_counting || !counter->gate ||
			elapsed % counter_period(counter) < (counter_period(counter) + 1) / 2;
	default: /* 4, 5: low for one tick at the end */
		return !counter->is_counting || elapsed != reload;
	}
}

static bool counter_output(const struct pit_counter *counter, u64 now)
{
	return output_after(counter, counter_elapsed(counter, now));
}

static u16 to_bcd(u32 value)
{
	return (u16)(value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 |
		value / 1000 % 10 << 12);
}

static u32 from_bcd(u16 value)
{
	return (value & 15) + (value >> 4 & 15) * 10 + (value >> 8 & 15) * 100 +
		(value >> 12) * 1000;
}

/* Mode 3 counts by two, twice a period; an odd count's first step is by one. */
static u32 square_wave_left(const struct pit_counter *counter, u64 elapsed)
{
	u32 period = counter_period(counter), half = (period + 1) / 2;
	u32 phase = (u32)(elapsed % period);

	return (period & ~(u32)1) - 2 * (phase < half ? phase : phase - half);
}

static u16 counter_count(const struct pit_counter *counter, u64 now)
{
	u64 elapsed = counter_elapsed(counter, now);
	u32 modulus = counter->control & 1 ? 10000 : 65536;
	u32 left = counter->reload;

	if (!counter->is_counting)
		left = counter->reload;
	else if (counter_mode(counter) == 3)
		left = square_wave_left(counter, elapsed);
	else if (counter_mode(counter) == 2)
		left = counter_period(counter) - (u32)(elapsed % counter_period(counter));
	else /* past 0 it goes on from the top */
		left = (u32)((counter->reload + modulus - elapsed % modulus) % modulus);
	return counter->control & 1 ? to_bcd(left % modulus) : (u16)left;
}

/* ---- counter 0's wire ---- */

/*
 * The next tick after now at which the wire changes. In the periodic modes only OUT's rises count, each as a short pulse: so
 * the request stays in the 8259 until the processor takes it, and none is lost in a half period.
 */
static u64 next_edge(const struct pit_counter *counter, u64 now)
{
	u64 elapsed = counter_elapsed(counter, now), next;
	u64 period = counter_period(counter);

	if (!counter->is_counting || counter->is_paused)
		return TIME_NEVER;
	switch (counter_mode(counter)) {
	case 2:
	case 3:
		next = elapsed - elapsed % period + period;
		break;
	case 0:
	case 1:
		next = counter->reload;
		break;
	default:
		next = elapsed < counter->reload ? counter->reload : (u64)counter->reload + 1;
	}
	return next > elapsed ? counter->start + next : TIME_NEVER;
}

/* Brings the wire to counter 0's output and waits for its next change. */
static void pit_update(struct pit8254 *pit)
{
	struct pit_counter *counter = &pit->counters[0];
	u64 now = pit_now(pit);

	counter_sync(counter, now);
	bool level = is_periodic(counter) || counter_output(counter, now);
	if (level != pit->output_level) {
		pit->output_level = level;
		irq_set(&pit->output, level);
	}
	u64 edge = next_edge(counter, now);
	if (edge == TIME_NEVER)
		event_cancel(&pit->edge);
	else
		event_set(&pit->edge, tick_to_ns(MAX(edge, now + EDGE_MINIMUM_TICKS)));
}

/* Has a whole low pulse gone by, perhaps while the event waited to be run? */
static bool pulse_is_over(const struct pit_counter *counter, u64 now)
{
	return is_periodic(counter) || (counter_mode(counter) > 3 && counter_output(counter, now));
}

static void pit_edge(void *owner)
{
	struct pit8254 *pit = owner;

	if (pit->output_level && pulse_is_over(&pit->counters[0], pit_now(pit))) {
		irq_lower(&pit->output);
		irq_raise(&pit->output);
	}
	pit_update(pit);
}

/* An edge that is due comes before what the guest does now, though its event has not been run yet. */
static void pit_catch_up(struct pit8254 *pit)
{
	if (pit->edge.deadline_ns <= clock_now_ns(&pit->device.machine->clock)) {
		event_cancel(&pit->edge);
		pit_edge(pit);
	}
}

/* ---- ports ---- */

static void counter_load(struct pit_counter *counter, u16 value, u64 now)
{
	u32 reload = counter->control & 1 ? from_bcd(value) : value;
	unsigned mode = counter_mode(counter);

	if (!reload)
		reload = counter->control & 1 ? 10000 : 65536;
	counter_sync(counter, now);
	if (counter->is_counting && is_periodic(counter)) {
		counter->has_next = true;
		counter->next_reload = reload;
		return;
	}
	counter->is_null = false;
	if (mode == 1 || mode == 5) { /* waits for the gate; a running count is not affected */
		counter->next_reload = reload;
		counter->has_next = true;
		return;
	}
	counter->reload = reload;
	counter->start = now + 1; /* loaded by the next tick: data sheet, "Mode definitions" */
	counter->is_counting = true;
	counter->is_paused = !counter->gate;
	counter->paused_after = 0;
}

static void counter_write(struct pit_counter *counter, u8 value, u64 now)
{
	switch (counter_access(counter)) {
	case ACCESS_LOW:
		counter_load(counter, value, now);
		return;
	case ACCESS_HIGH:
		counter_load(counter, (u16)(value << 8), now);
		return;
	}
	counter->high_write_next = !counter->high_write_next;
	if (!counter->high_write_next) {
		counter_load(counter, (u16)(value << 8 | counter->low_written), now);
		return;
	}
	counter->low_written = value;
	if (counter_mode(counter) == 0) /* the first byte stops the count, and OUT falls */
		counter->is_counting = false;
}

static u8 counter_read(struct pit_counter *counter, u64 now)
{
	u16 count = counter->count_latch;

	counter_sync(counter, now);
	if (counter->status_latched) {
		counter->status_latched = false;
		return counter->status_latch;
	}
	if (!counter->latched_bytes)
		count = counter_count(counter, now);
	else
		counter->latched_bytes--;
	if (counter_access(counter) == ACCESS_LOW)
		return (u8)count;
	if (counter_access(counter) == ACCESS_HIGH)
		return (u8)(count >> 8);
	counter->high_read_next = !counter->high_read_next;
	return (u8)(counter->high_read_next ? count : count >> 8);
}

static void counter_latch_count(struct pit_counter *counter, u64 now)
{
	if (counter->latched_bytes)
		return;
	counter_sync(counter, now);
	counter->count_latch = counter_count(counter, now);
	/* A latch between two bytes of a read is read as the second byte first, as on the chip. */
	counter->latched_bytes =
		counter_access(counter) == ACCESS_BOTH && !counter->high_read_next ? 2 : 1;
}

static void counter_latch_status(struct pit_counter *counter, u64 now)
{
	if (counter->status_latched)
		return;
	counter_sync(counter, now);
	counter->status_latched = true;
	counter->status_latch = (u8)(counter_output(counter, now) << 7 |
		(counter->is_null || counter->has_next) << 6 | counter->control);
}

static void counter_control(struct pit_counter *counter, u8 value, u64 now)
{
	if (!(value >> 4 & 3)) {
		counter_latch_count(counter, now);
		return;
	}
	bool gate = counter->gate;
	u32 reload = counter->reload;
	*counter = (struct pit_counter){
		.control = value & 0x3f, .gate = gate, .reload = reload, .is_null = true};
}

static void pit_control(struct pit8254 *pit, u8 value, u64 now)
{
	if (value >> 6 != 3) {
		counter_control(&pit->counters[value >> 6], value, now);
		return;
	}
	for (unsigned i = 0; i < 3; i++) { /* read-back */
		if (!(value >> (i + 1) & 1))
			continue;
		if (!(value & 0x20))
			counter_latch_count(&pit->counters[i], now);
		if (!(value & 0x10))
			counter_latch_status(&pit->counters[i], now);
	}
}

static void pit_access(void *owner, struct bus_access *access)
{
	struct pit8254 *pit = owner;
	unsigned port = access->address & 3;
	u64 now = pit_now(pit);

	if (!access->is_write) {
		access->value = port == 3 ? 0xff : counter_read(&pit->counters[port], now);
		return;
	}
	pit_catch_up(pit);
	if (port == 3)
		pit_control(pit, (u8)access->value, now);
	else
		counter_write(&pit->counters[port], (u8)access->value, now);
	pit_update(pit);
}

/* The gate's rise in modes 1, 2, 3, 5: the counter starts anew, with the newest count. */
static void counter_trigger(struct pit_counter *counter, u64 now)
{
	if (counter->has_next)
		counter->reload = counter->next_reload;
	if (!counter->has_next && counter->is_null)
		return; /* triggered without a count */
	counter->has_next = false;
	counter->is_counting = true;
	counter->start = now + 1;
}

/* Data sheet, "Gate pin operations". */
static void counter_set_gate(struct pit_counter *counter, bool gate, u64 now)
{
	unsigned mode = counter_mode(counter);

	if (gate == counter->gate)
		return;
	counter_sync(counter, now);
	counter->gate = gate;
	if (mode != 1 && mode != 5) {
		if (!gate)
			counter->paused_after = counter_elapsed(counter, now);
		else
			counter->start = now - MIN(counter->paused_after, now);
		counter->is_paused = !gate;
	}
	if (gate && mode != 0 && mode != 4)
		counter_trigger(counter, now);
}

/* Port 61h: bits 0, 1 gate and speaker, 2, 3 kept, 4 the refresh clock, 5 counter 2's output. */
static void pit_access_port_61(void *owner, struct bus_access *access)
{
	struct pit8254 *pit = owner;
	struct pit_counter *counter = &pit->counters[2];
	u64 now = pit_now(pit);

	if (access->is_write) {
		pit->port_61 = access->value & 0xf;
		counter_set_gate(counter, access->value & 1, now);
		return;
	}
	counter_sync(counter, now);
	u64 refresh = clock_now_ns(&pit->device.machine->clock) / REFRESH_HALF_PERIOD_NS & 1;
	access->value = pit->port_61 | refresh << 4 | (u64)counter_output(counter, now) << 5;
}

/* ---- reset, state, creation ---- */

static void pit_reset(struct device *device)
{
	struct pit8254 *pit = container_of(device, struct pit8254, device);

	/* The chip's power-on state is undefined; mode 3, both bytes and no count is what one finds. */
	for (unsigned i = 0; i < 3; i++)
		pit->counters[i] = (struct pit_counter){
			.control = 0x36, .gate = i != 2, .is_null = true, .reload = 65536};
	pit->port_61 = 0;
	pit->output_level = true;
	irq_raise(&pit->output);
	event_cancel(&pit->edge);
}

static bool pit_loaded(void *object)
{
	struct pit8254 *pit = object;

	for (unsigned i = 0; i < 3; i++) {
		struct pit_counter *counter = &pit->counters[i];
		if (counter->reload < 1 || counter->reload > 65536 || counter->latched_bytes > 2 ||
			(counter->has_next &&
				(counter->next_reload < 1 || counter->next_reload > 65536)) ||
			!counter_access(counter) || counter->control > 0x3f)
			return false;
	}
	return true;
}

#define COUNTER_FIELDS(n)                                                \
	STATE_UINT(struct pit8254, counters[n].control),                 \
		STATE_FLAG(struct pit8254, counters[n].gate),            \
		STATE_FLAG(struct pit8254, counters[n].is_counting),     \
		STATE_FLAG(struct pit8254, counters[n].is_null),         \
		STATE_FLAG(struct pit8254, counters[n].is_paused),       \
		STATE_FLAG(struct pit8254, counters[n].has_next),        \
		STATE_FLAG(struct pit8254, counters[n].high_write_next), \
		STATE_FLAG(struct pit8254, counters[n].high_read_next),  \
		STATE_UINT(struct pit8254, counters[n].low_written),     \
		STATE_UINT(struct pit8254, counters[n].latched_bytes),   \
		STATE_FLAG(struct pit8254, counters[n].status_latched),  \
		STATE_UINT(struct pit8254, counters[n].status_latch),    \
		STATE_UINT(struct pit8254, counters[n].count_latch),     \
		STATE_UINT(struct pit8254, counters[n].reload),          \
		STATE_UINT(struct pit8254, counters[n].next_reload),     \
		STATE_UINT(struct pit8254, counters[n].start),           \
		STATE_UINT(struct pit8254, counters[n].paused_after)

static const struct state_field pit_fields[] = {
	COUNTER_FIELDS(0),
	COUNTER_FIELDS(1),
	COUNTER_FIELDS(2),
	STATE_UINT(struct pit8254, port_61),
	STATE_FLAG(struct pit8254, output_level),
	STATE_TIMER(struct pit8254, edge),
};
static const struct state_table pit_state = STATE_TABLE("pit8254", 1, pit_fields, pit_loaded);
static const struct device_ops pit_ops = {"pit8254", pit_reset, &pit_state};

enum status pit8254_init(
	struct pit8254 *pit, struct machine *machine, u16 base, u16 speaker, struct irq output)
{
	memset(pit, 0, sizeof(*pit));
	pit->output = output;
	enum status status = region_attach(
		machine, &pit->regions[0], "pit", BUS_PORT, base, 4, 1, pit_access, pit);
	if (status == STATUS_OK)
		status = region_attach(machine, &pit->regions[1], "speaker", BUS_PORT, speaker, 1,
			1, pit_access_port_61, pit);
	if (status != STATUS_OK)
		return status;
	event_init(&pit->edge, machine, pit_edge, pit);
	device_attach(machine, &pit->device, &pit_ops, "pit", pit);
	return STATUS_OK;
}
