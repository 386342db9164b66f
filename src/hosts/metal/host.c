/* SPDX-License-Identifier: MIT */
/* What core/host.h asks of the bare machine, except time (time/tsc.c), threads and signals (schedule/thread.c) and guests' own (guest.c). */
#include "core/host.h"
#include "core/host_processor.h"

#include <cpuid.h>

#include "base/bits.h"
#include "base/memory.h"
#include "base/text.h"
#include "hosts/metal/console/console.h"
#include "hosts/metal/instructions.h"
#include "hosts/metal/interrupts/apic.h"
#include "hosts/metal/memory/frames.h"
#include "hosts/metal/processor/processor.h"
#include "hosts/metal/schedule/thread.h"
#include "hosts/metal/spinlock.h"

#define MSR_GS_BASE 0xc0000101u

void *host_memory_get(size_t bytes)
{
	return frames_get(bytes, FRAME_BYTES);
}

void host_memory_put(void *memory, size_t bytes)
{
	if (memory)
		frames_put(memory, bytes);
}

/* The page stays the guest's: memory is given to guests whole, and not shared between them. */
void host_memory_release(void *memory, size_t bytes)
{
	memset(memory, 0, bytes);
}

/* ---- locks: their holders are never preempted, and never sleep ---- */

_Static_assert(sizeof(struct spinlock) <= sizeof(struct host_lock), "a spinlock fits a host_lock");

void host_lock_init(struct host_lock *lock)
{
	*lock = (struct host_lock){0};
}

void host_lock(struct host_lock *lock)
{
	spinlock_take((struct spinlock *)lock);
}

void host_unlock(struct host_lock *lock)
{
	spinlock_release((struct spinlock *)lock);
}

/* ---- random numbers ---- */

#define RDRAND_TRIES 10

static bool has_rdrand(void)
{
	u32 a, b, c, d;
	__cpuid(1, a, b, c, d);
	return c & BIT(30);
}

static bool rdrand(u64 *value)
{
	bool ok = false;
	for (unsigned i = 0; i < RDRAND_TRIES && !ok; i++)
		__asm__ volatile("rdrand %0; setc %1" : "=r"(*value), "=qm"(ok) : : "cc");
	return ok;
}

/* Without RDRAND: a mix of the TSC (splitmix64), which guests can guess something of. */
static u64 mixed_tsc(void)
{
	static u64 state;
	u64 z = __atomic_add_fetch(&state, tsc_get() | 1, __ATOMIC_RELAXED);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

void host_random(void *to, size_t bytes)
{
	u8 *out = to;
	while (bytes) {
		u64 value;
		size_t piece = MIN(bytes, sizeof(value));
		if (!has_rdrand() || !rdrand(&value))
			value = mixed_tsc();
		memcpy(out, &value, piece);
		out += piece;
		bytes -= piece;
	}
}

/* ---- code memory: no engine here makes code ---- */

bool host_code_memory_get(size_t bytes, struct host_code_memory *memory)
{
	return false;
}

void host_code_memory_put(struct host_code_memory *memory) {}

bool host_code_naming_is_wanted(void)
{
	return false;
}

void host_code_named(const void *start, size_t bytes, const char *name) {}

/* ---- records: there is nowhere to put them ---- */

bool host_record_is_wanted(enum host_record record)
{
	return false;
}

bool host_record(enum host_record record, const char *line)
{
	return false;
}

void host_thread_base_set(void *base)
{
	thread_current()->base = base;
	msr_set(MSR_GS_BASE, (u64)base);
}

/* ---- what engines for virtualization ask: core/host_processor.h ---- */

u64 host_physical_address(const void *memory)
{
	return (u64)memory;
}

unsigned host_processor_index(void)
{
	return processor_here()->index;
}

void host_processor_kick(unsigned index)
{
	apic_send(processors[index]->apic_id, VECTOR_KICK);
}

void host_interrupts_disable(void)
{
	interrupts_disable();
}

void host_interrupts_enable(void)
{
	interrupts_enable();
}

/* ---- the log ---- */

void host_log(enum log_level level, const char *line)
{
	static const char *const words[] = {"error: ", "warning: ", "", "trace: "};
	console_say("%s%s", words[level], line);
}
