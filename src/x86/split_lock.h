/* SPDX-License-Identifier: MIT */
/*
 * A locked access that cannot be one host instruction (across a page end, or not RAM) excludes all others of its kind, as a
 * bus lock would; it does not exclude plain accesses, nor locked ones within a page. One lock for all machines of a process.
 */
#ifndef X86_SPLIT_LOCK_H
#define X86_SPLIT_LOCK_H

#include "x86/cpu.h"

extern u32 split_lock_word;

static inline void split_lock_take(struct cpu *cpu)
{
	while (__atomic_exchange_n(&split_lock_word, 1, __ATOMIC_ACQUIRE))
		__builtin_ia32_pause();
	cpu->holds_split_lock = 1;
}

static inline void split_lock_release(struct cpu *cpu)
{
	cpu->holds_split_lock = 0;
	__atomic_store_n(&split_lock_word, 0, __ATOMIC_RELEASE);
}

#endif
