/* SPDX-License-Identifier: MIT */
/*
 * Which of the ready takes a processor: shares by weight, limits by budgets. Each share has a virtual time that goes on with what it
 * runs, the slower the greater its weight; the least goes first. One with a limit has a budget each period, and waits for the next one when it is
 * spent. No lock, no host, no time of its own.
 */
#ifndef HOSTS_METAL_SCHEDULE_FAIR_H
#define HOSTS_METAL_SCHEDULE_FAIR_H

#include "base/list.h"
#include "base/types.h"

#define FAIR_WEIGHT_DEFAULT 100
#define FAIR_WEIGHT_MAX 10000
#define FAIR_PERIOD_NS ((u64)100000000)
/* Within this each that is ready has its turn, unless turns would be too short to be worth it. */
#define FAIR_ROUND_NS ((u64)20000000)
#define FAIR_SLICE_MIN_NS ((u64)1000000)
/* How far behind the others one that has slept may begin: so it answers soon, and cannot save up. */
#define FAIR_CREDIT_NS ((u64)5000000)

struct fair_share {
	struct list link;  /* in the queue's ready ones */
	u64 weight;	   /* 1 to FAIR_WEIGHT_MAX */
	u64 limit_percent; /* of one processor; 0: none */
	u64 virtual_ns;
	u64 period_start_ns, spent_ns; /* with a limit: in the current period */
};

struct fair_queue {
	struct list ready; /* by virtual_ns; the one that runs is not among them */
	u64 floor_ns;	   /* what the least has been; never goes back */
};

void fair_queue_init(struct fair_queue *queue);
void fair_share_init(struct fair_share *share, u64 weight, u64 limit_percent);

/* It is ready, after sleeping or after running. */
void fair_add(struct fair_queue *queue, struct fair_share *share, bool has_slept);
void fair_remove(struct fair_share *share);
/* The one to run at now_ns, taken out; NULL: none is ready with budget left. */
struct fair_share *fair_take(struct fair_queue *queue, u64 now_ns);
/* The one that was taken has run for `ns`, until now_ns. */
void fair_charge(struct fair_queue *queue, struct fair_share *share, u64 ns, u64 now_ns);
/* When whoever runs (NULL: nobody of this queue) is to be looked at again: its slice's or budget's end, another's new budget. ~0: never. */
u64 fair_deadline(struct fair_queue *queue, struct fair_share *running, u64 now_ns);

#endif
