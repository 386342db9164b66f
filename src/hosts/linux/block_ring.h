/* SPDX-License-Identifier: MIT */
/*
 * Reads of raw disks by io_uring: as many in flight as the guest asks for, by one thread. The ring is made before the process is locked in,
 * and then takes two operations, READV and POLL_ADD, on the disks and its own wake-up, whatever anyone puts into it. What does not end as it
 * should is read again by the pool's threads, which also do all else: a write goes to the host's page cache, where nothing is gained.
 */
#ifndef HOSTS_LINUX_BLOCK_RING_H
#define HOSTS_LINUX_BLOCK_RING_H

#include "base/types.h"

#define BLOCK_RING_DESCRIPTORS 2

/* Before the process is locked in. False: the kernel has no such ring, or does not let us. */
bool block_ring_prepare(const int *disks, unsigned count) must_use;
/* The descriptors that stay open; returns how many. */
unsigned block_ring_descriptors(int descriptors[BLOCK_RING_DESCRIPTORS]);
unsigned block_ring_threads(void);
bool block_ring_start(void) must_use;
/* Nothing is in flight. */
void block_ring_finish(void);

/* Reads may be given to the ring (block_pool_next_for_ring). */
bool block_ring_is_usable(void);
/* There are some. */
void block_ring_wake(void);

#endif
