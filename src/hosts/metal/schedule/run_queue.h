/* SPDX-License-Identifier: MIT */
/*
 * What a processor has to run: service threads first, as they have come (they answer devices and never run long), then vCPUs by their shares, then
 * its idle thread.
 */
#ifndef HOSTS_METAL_SCHEDULE_RUN_QUEUE_H
#define HOSTS_METAL_SCHEDULE_RUN_QUEUE_H

#include "hosts/metal/schedule/fair.h"
#include "hosts/metal/spinlock.h"

struct thread;

struct run_queue {
	struct spinlock lock; /* all below; taken with interrupts disabled */
	struct list services;
	struct fair_queue fair;
	struct list sleepers; /* those that wait with a deadline */
	struct thread *current, *idle;
	unsigned threads; /* that live here, for placing new ones */
};

static inline void run_queue_init(struct run_queue *queue)
{
	*queue = (struct run_queue){0};
	list_init(&queue->services);
	list_init(&queue->sleepers);
	fair_queue_init(&queue->fair);
}

#endif
