/* SPDX-License-Identifier: MIT */
/*
 * Disks whose requests are executed by threads, one blocking call after the other, or are read by io_uring (block_ring.h) where that can be. A kind of disk holds a struct pooled_block and has one function, execute, which
 * several threads may be in at once.
 */
#ifndef HOSTS_LINUX_BLOCK_POOL_H
#define HOSTS_LINUX_BLOCK_POOL_H

#include "core/host.h"
#include "devices/backend/block.h"

#define BLOCK_POOL_THREADS 4

struct machine;

struct pooled_block {
	struct block_backend backend;
	/* Does all of the request. On a thread of the pool, with no lock held. */
	enum status (*execute)(struct pooled_block *block, struct block_request *request);
	/*
	 * Does it at once if that takes no waiting: false, and nothing done, otherwise. On the thread that submits, with machine->lock held.
	 * NULL: never.
	 */
	bool (*try_now)(struct pooled_block *block, struct block_request *request);
	/* Among the ring's files, where is_for_ring says that reads may go there. */
	unsigned ring_file;
	bool is_for_ring;
	struct list submitted; /* waits for start; guarded by machine->lock */
	unsigned in_flight;    /* guarded by the pool's lock */
};

/* Fills the backend's ops; the caller fills the rest of the backend, and execute. */
void block_pool_add(struct pooled_block *block);
/*
 * Starts the threads, for all disks together. Under CLOCK_INSTRUCTIONS requests end before start returns, in the order in which they were
 * submitted, so that how fast the host is does not show.
 */
bool block_pool_start(struct machine *machine) must_use;
/* Ends the threads; nothing is in flight. Does nothing where they were not started. */
void block_pool_finish(void);

/* The ring's side: takes the next read, or NULL; gives it back done, or to be done by a thread. */
struct block_request *block_pool_next_for_ring(void);
unsigned block_pool_ring_file(const struct block_request *request);
void block_pool_ended(struct list *requests);
void block_pool_again(struct block_request *request);

#endif
