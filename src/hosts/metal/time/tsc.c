/* SPDX-License-Identifier: MIT */
#include "hosts/metal/time/tsc.h"
#include "base/bits.h"
#include "core/clock.h"
#include "core/host.h"
#include "core/host_processor.h"
#include "hosts/metal/acpi/acpi.h"
#include "hosts/metal/instructions.h"
#include "hosts/metal/time/calendar_clock.h"

/* ---- what it is measured against ---- */

#define PIT_HZ 1193182
#define PIT_CHANNEL_2 0x42
#define PIT_COMMAND 0x43
#define PIT_MODE_2 0xb4 /* channel 2, both bytes, counts round */
#define PIT_LATCH_2 0x80
#define PIT_MASK 0xffff
#define SPEAKER_PORT 0x61
#define SPEAKER_GATE BIT(0)
#define SPEAKER_DATA BIT(1)

#define PM_TIMER_HZ 3579545
#define PM_TIMER_MASK 0xffffff

struct reference {
	u32 hz, mask; /* it counts round within the mask */
	u32 (*read)(void);
};

static u32 pm_timer_read(void)
{
	return port_read_32(acpi_power()->pm_timer);
}

/* It counts down. */
static u32 pit_read(void)
{
	port_write_8(PIT_COMMAND, PIT_LATCH_2);
	u32 count = port_read_8(PIT_CHANNEL_2);
	count |= (u32)port_read_8(PIT_CHANNEL_2) << 8;
	return 0 - count;
}

static void pit_start(void)
{
	port_write_8(
		SPEAKER_PORT, (u8)((port_read_8(SPEAKER_PORT) & ~SPEAKER_DATA) | SPEAKER_GATE));
	port_write_8(PIT_COMMAND, PIT_MODE_2);
	port_write_8(PIT_CHANNEL_2, 0);
	port_write_8(PIT_CHANNEL_2, 0);
}

/* ACPI's timer needs seconds for a round, so that no delay between two readings is longer; the 8254 has 55 ms. */
static struct reference choose_reference(void)
{
	if (acpi_power()->pm_timer)
		return (struct reference){PM_TIMER_HZ, PM_TIMER_MASK, pm_timer_read};
	pit_start();
	return (struct reference){PIT_HZ, PIT_MASK, pit_read};
}

/* ---- the measurement ---- */

#define MEASURED_PER_SECOND 25 /* 40 ms */
#define READINGS 16
#define MEASUREMENTS 3
#define POLLS_MAX 10000000 /* the reference stands still: there is none */

static u64 hz = 1000000000, start, wall_start_ns;

struct reading {
	u64 tsc;
	u32 count;
};

/* The quickest of several: nothing has come between. */
static struct reading read_exactly(const struct reference *reference)
{
	struct reading best = {0};
	u64 best_took = ~(u64)0;
	for (unsigned i = 0; i < READINGS; i++) {
		u64 before = tsc_get();
		u32 count = reference->read();
		u64 took = tsc_get() - before;
		if (took < best_took) {
			best = (struct reading){before + took / 2, count};
			best_took = took;
		}
	}
	return best;
}

/* 0: it does not count. */
static u64 measure_hz(const struct reference *reference)
{
	u32 wanted = reference->hz / MEASURED_PER_SECOND, polls = 0;
	struct reading first = read_exactly(reference);
	while (((reference->read() - first.count) & reference->mask) < wanted)
		if (++polls == POLLS_MAX)
			return 0;
	struct reading last = read_exactly(reference);
	u32 ticks = (last.count - first.count) & reference->mask;
	return ticks ? clock_scale(last.tsc - first.tsc, reference->hz, ticks) : 0;
}

/* Held up for more than a round, a measurement misses that, and is too high: the least of several. */
void tsc_init(void)
{
	struct reference reference = choose_reference();
	u64 least = ~(u64)0;
	for (unsigned i = 0; i < MEASUREMENTS; i++) {
		u64 measured = measure_hz(&reference);
		if (measured)
			least = MIN(least, measured);
	}
	if (least != ~(u64)0)
		hz = least;
	start = tsc_get();
	wall_start_ns = calendar_clock_read_ns();
}

u64 host_tsc_hz(void)
{
	return hz;
}

u64 host_tsc_start(void)
{
	return start;
}

u64 host_time_ns(void)
{
	return clock_scale(tsc_get() - start, 1000000000, hz);
}

u64 host_wall_clock_ns(void)
{
	return wall_start_ns + host_time_ns();
}
