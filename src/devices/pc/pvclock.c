/* SPDX-License-Identifier: MIT */
#include "devices/pc/pvclock.h"
#include "base/bits.h"
#include "base/memory.h"
#include "devices/region.h"

#define NS_PER_SECOND 1000000000

enum pvclock_msr { MSR_WALL_CLOCK, MSR_SYSTEM_TIME, MSR_COUNT };
#define MSR_BASE_OLD 0x11
#define MSR_BASE 0x4b564d00

#define SYSTEM_TIME_ENABLE BIT(0)

enum pvclock_leaf { LEAF_SIGNATURE = 0x40000000, LEAF_FEATURES, LEAF_FREQUENCIES = 0x40000010 };
enum pvclock_feature {
	FEATURE_CLOCK_OLD = 1 << 0,
	FEATURE_NO_IO_DELAY = 1 << 1,
	FEATURE_CLOCK = 1 << 3,
	FEATURE_CLOCK_STABLE = 1 << 24,
};

/* What the guest reads; both are versioned: odd while they change. */
struct pvclock_time {
	u32 version;
	u32 padding;
	u64 tsc_timestamp; /* the guest's TSC at system_time */
	u64 system_time;   /* ns */
	u32 tsc_to_ns;	   /* ns = (ticks << shift) * tsc_to_ns >> 32 */
	i8 shift;	   /* negative: >> */
	u8 flags;
	u8 padding_2[2];
};
#define TIME_FLAG_STABLE 1

struct pvclock_wall {
	u32 version;
	u32 seconds; /* UTC at system time 0 */
	u32 ns;
};

bool pvclock_cpuid(const struct pvclock_frequencies *frequencies, u32 leaf, u32 result[4])
{
	static const char signature[12] = "KVMKVMKVM\0\0";

	if (leaf < LEAF_SIGNATURE || leaf > LEAF_FREQUENCIES)
		return false;
	memset(result, 0, 4 * sizeof(result[0]));
	if (leaf == LEAF_SIGNATURE) {
		result[0] = LEAF_FREQUENCIES;
		memcpy(&result[1], signature, sizeof(signature));
	} else if (leaf == LEAF_FEATURES) {
		result[0] = FEATURE_CLOCK_OLD | FEATURE_NO_IO_DELAY | FEATURE_CLOCK |
			FEATURE_CLOCK_STABLE;
	} else if (leaf == LEAF_FREQUENCIES) {
		result[0] = (u32)(frequencies->tsc_hz / 1000);
		result[1] = (u32)(frequencies->apic_timer_hz / 1000);
	}
	return true;
}

/* The factor with the most bits: 1e9 / hz * 2^(32 - shift), between 2^31 and 2^32. */
static void set_scale(struct pvclock_time *time, u64 hz)
{
	time->shift = 0;
	while (hz <= NS_PER_SECOND) {
		hz <<= 1;
		time->shift++;
	}
	while (hz > 2 * (u64)NS_PER_SECOND) {
		hz >>= 1;
		time->shift--;
	}
	time->tsc_to_ns = (u32)(((u64)NS_PER_SECOND << 32) / hz);
}

/* Version odd, contents, version even: a reader on another processor notices. Where there is no RAM, nothing is told. */
static void publish(struct machine *machine, u64 gpa, u32 *version, void *contents, u64 bytes)
{
	u32 odd = *version + 1, even = *version + 2;

	*version = even;
	memcpy(contents, &odd, sizeof(odd));
	if (memory_write(machine, gpa, contents, bytes))
		(void)!memory_write(machine, gpa, &even, sizeof(even));
}

static void publish_time(struct pvclock *pvclock, const struct vcpu *vcpu)
{
	struct machine *machine = pvclock->device.machine;
	u64 value = pvclock->system_time[vcpu->index];
	struct pvclock_time time = {.flags = TIME_FLAG_STABLE};

	if (!(value & SYSTEM_TIME_ENABLE))
		return;
	/* Taken together, from one reading of the clock. */
	u64 tsc = clock_tsc(&machine->clock);
	time.system_time = clock_scale(tsc, NS_PER_SECOND, machine->clock.tsc_hz);
	time.tsc_timestamp = tsc + vcpu->tsc_offset;
	set_scale(&time, machine->clock.tsc_hz);
	publish(machine, value & ~(u64)3, &pvclock->version[vcpu->index], &time, sizeof(time));
}

static void publish_wall(struct pvclock *pvclock)
{
	struct machine *machine = pvclock->device.machine;
	u64 start_ns = clock_wall_ns(&machine->clock) - clock_now_ns(&machine->clock);
	struct pvclock_wall wall = {
		.seconds = (u32)(start_ns / NS_PER_SECOND),
		.ns = (u32)(start_ns % NS_PER_SECOND),
	};

	publish(machine, pvclock->wall_clock & ~(u64)3, &pvclock->wall_version, &wall,
		sizeof(wall));
}

static void pvclock_access(void *owner, struct bus_access *access)
{
	struct pvclock *pvclock = owner;
	struct vcpu *vcpu = access->vcpu;

	if (!vcpu) {
		access->is_refused = true;
	} else if (!access->is_write) {
		access->value = access->address == MSR_WALL_CLOCK
			? pvclock->wall_clock
			: pvclock->system_time[vcpu->index];
	} else if (access->address == MSR_WALL_CLOCK) {
		pvclock->wall_clock = access->value;
		publish_wall(pvclock);
	} else {
		pvclock->system_time[vcpu->index] = access->value;
		publish_time(pvclock, vcpu);
	}
}

static void pvclock_reset(struct device *device)
{
	struct pvclock *pvclock = container_of(device, struct pvclock, device);

	pvclock->wall_clock = 0;
	memset(pvclock->system_time, 0, sizeof(pvclock->system_time));
}

static const struct state_field pvclock_fields[] = {
	STATE_UINT(struct pvclock, wall_clock),
	STATE_ARRAY(struct pvclock, system_time),
	STATE_ARRAY(struct pvclock, version),
	STATE_UINT(struct pvclock, wall_version),
};
static const struct state_table pvclock_state = STATE_TABLE("pvclock", 1, pvclock_fields, NULL);
static const struct device_ops pvclock_ops = {"pvclock", pvclock_reset, &pvclock_state};

enum status pvclock_init(struct pvclock *pvclock, struct machine *machine)
{
	memset(pvclock, 0, sizeof(*pvclock));
	enum status status = region_attach(machine, &pvclock->regions[0], "pvclock", BUS_MSR,
		MSR_BASE, MSR_COUNT, 8, pvclock_access, pvclock);
	if (status == STATUS_OK)
		status = region_attach(machine, &pvclock->regions[1], "pvclock-old", BUS_MSR,
			MSR_BASE_OLD, MSR_COUNT, 8, pvclock_access, pvclock);
	if (status == STATUS_OK)
		device_attach(machine, &pvclock->device, &pvclock_ops, "pvclock", pvclock);
	return status;
}
