/* SPDX-License-Identifier: MIT */
#include "hosts/metal/time/tsc.h"
#include "base/bits.h"
#include "core/clock.h"
#include "core/host.h"
#include "core/host_processor.h"
#include "hosts/metal/instructions.h"
#include "hosts/metal/time/calendar_clock.h"

#define PIT_HZ 1193182
#define PIT_CHANNEL_2 0x42
#define PIT_COMMAND 0x43
#define PIT_MODE_2 0xb4 /* channel 2, both bytes, counts round */
#define PIT_LATCH_2 0x80
#define PIT_COUNTS 0x10000
#define SPEAKER_PORT 0x61
#define SPEAKER_GATE BIT(0)
#define SPEAKER_DATA BIT(1)

/* Less than one round of the count; what is read late at either end is told by what the reading took. */
#define MEASURED_TICKS (PIT_COUNTS / 4 * 3)
#define READINGS 16
#define MEASUREMENTS 3
#define POLLS_MAX 10000000 /* there is no such timer: its count stands */

static u64 hz = 1000000000, start, wall_start_ns;

struct reading {
	u64 tsc;
	u32 count; /* downwards */
};

static struct reading read_once(u64 *took)
{
	u64 before = tsc_get();
	port_write_8(PIT_COMMAND, PIT_LATCH_2);
	u32 count = port_read_8(PIT_CHANNEL_2);
	count |= (u32)port_read_8(PIT_CHANNEL_2) << 8;
	*took = tsc_get() - before;
	return (struct reading){before + *took / 2, count};
}

/* The quickest of several: nothing has come between. */
static struct reading read_exactly(void)
{
	struct reading best = {0};
	u64 best_took = ~(u64)0, took;
	for (unsigned i = 0; i < READINGS; i++) {
		struct reading reading = read_once(&took);
		if (took < best_took) {
			best = reading;
			best_took = took;
		}
	}
	return best;
}

/* 0: it does not count. */
static u64 measure_hz(void)
{
	u64 took, polls = 0;
	port_write_8(
		SPEAKER_PORT, (u8)((port_read_8(SPEAKER_PORT) & ~SPEAKER_DATA) | SPEAKER_GATE));
	port_write_8(PIT_COMMAND, PIT_MODE_2);
	port_write_8(PIT_CHANNEL_2, 0);
	port_write_8(PIT_CHANNEL_2, 0);
	struct reading first = read_exactly();
	while ((u16)(first.count - read_once(&took).count) < MEASURED_TICKS)
		if (++polls == POLLS_MAX)
			return 0;
	struct reading last = read_exactly();
	u16 ticks = (u16)(first.count - last.count);
	return ticks ? clock_scale(last.tsc - first.tsc, PIT_HZ, ticks) : 0;
}

/* Held up for more than a round, a measurement misses that, and is too high: the least of several. */
void tsc_init(void)
{
	u64 least = ~(u64)0;
	for (unsigned i = 0; i < MEASUREMENTS; i++) {
		u64 measured = measure_hz();
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
