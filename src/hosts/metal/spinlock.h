/* SPDX-License-Identifier: MIT */
/*
 * A lock that waits busily. Its holder is not preempted, and so is on another processor. Interrupt handlers take none.
 */
#ifndef HOSTS_METAL_SPINLOCK_H
#define HOSTS_METAL_SPINLOCK_H

#include "base/types.h"

struct spinlock {
	u32 word;
};

void spinlock_take(struct spinlock *lock);
void spinlock_release(struct spinlock *lock);

/* The bare word, for whoever has disabled interrupts. */
static inline void spinlock_take_bare(struct spinlock *lock)
{
	while (__atomic_exchange_n(&lock->word, 1, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&lock->word, __ATOMIC_RELAXED))
			__asm__ volatile("pause");
}

static inline void spinlock_release_bare(struct spinlock *lock)
{
	__atomic_store_n(&lock->word, 0, __ATOMIC_RELEASE);
}

#endif
