/* SPDX-License-Identifier: MIT */
/*
 * Several processors, for 64-bit guests: common/smp.c. CPUS says how many a guest gets. A processor's number is its initial APIC
 * id; the bootstrap processor is 0. The others sleep with HLT until smp_run wakes them by an interrupt.
 */
#ifndef SMP_H
#define SMP_H
#include "guest.h"

#define SMP_MAX 32
#define SMP_WAKE 0xf0 /* the vector that wakes them */
#define SMP_TRAMPOLINE 0x8000

#define ICR_FIXED 0x0000
#define ICR_LOWEST 0x0100
#define ICR_NMI 0x0400
#define ICR_INIT 0x0500
#define ICR_SIPI 0x0600
#define ICR_LOGICAL 0x0800
#define ICR_ASSERT 0x4000
#define ICR_SELF 0x40000
#define ICR_ALL 0x80000
#define ICR_OTHERS 0xc0000

/* What a processor found when it came up. */
struct smp_start {
	volatile u32 count, cs, ip, flags, cr0, edx;
};
extern struct smp_start smp_starts[SMP_MAX];
extern int smp_x2apic; /* the processors that start switch to it; the caller has done so */

unsigned smp_count(void); /* processors that there are, by CPUID */
unsigned smp_self(void);
void smp_prepare(void); /* this processor's APIC on, the trampoline in place */
/* All by INIT, SIPI, SIPI to all others; nonzero: all came. */
int smp_start(void);
/* One, with the trampoline at a page below 1 MiB; nonzero: it came. */
int smp_start_one(unsigned cpu, u32 page);
int smp_wait_started(unsigned cpu, u32 count);
/* Every processor runs it with its number, this one, too; returns when all are done. Zero: some did not come back. */
int smp_run(void (*fn)(unsigned cpu));
/* The others run it; returns at once. smp_join waits. */
void smp_go(void (*fn)(unsigned cpu));
int smp_join(void);
/* All processors of smp_run meet here. */
void smp_barrier(void);
void smp_ipi(u32 command, u32 destination);
void smp_eoi(void);

/* Some 20 seconds of waiting, in TSC ticks, and a short while in which what must not happen would have happened. */
u64 smp_ticks(unsigned ms);
#define WAIT_FOR(condition)                                                    \
	({                                                                     \
		u64 end_ = rdtsc() + smp_ticks(20000);                         \
		int good_;                                                     \
		while (!(good_ = !!(condition)) && (long)(end_ - rdtsc()) > 0) \
			__asm__ volatile("pause" ::: "memory");                \
		good_;                                                         \
	})
void smp_delay(unsigned ms);

static inline void barrier(void)
{
	__asm__ volatile("" ::: "memory");
}
static inline void mfence(void)
{
	__asm__ volatile("mfence" ::: "memory");
}
static inline u32 random_next(u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	return *state ^= *state << 5;
}
#endif
