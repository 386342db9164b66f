/* SPDX-License-Identifier: MIT */
#include "hosts/metal/schedule/fair.h"

void fair_queue_init(struct fair_queue *queue)
{
	list_init(&queue->ready);
	queue->floor_ns = 0;
}

void fair_share_init(struct fair_share *share, u64 weight, u64 limit_percent)
{
	*share = (struct fair_share){.weight = weight, .limit_percent = limit_percent};
	list_init(&share->link);
}

static struct fair_share *share_of(struct list *node)
{
	return container_of(node, struct fair_share, link);
}

void fair_add(struct fair_queue *queue, struct fair_share *share, bool has_slept)
{
	struct list *at = &queue->ready;
	u64 least = queue->floor_ns > FAIR_CREDIT_NS ? queue->floor_ns - FAIR_CREDIT_NS : 0;
	if (has_slept)
		share->virtual_ns = MAX(share->virtual_ns, least);
	list_for_each (node, &queue->ready) {
		if (share_of(node)->virtual_ns > share->virtual_ns) {
			at = node;
			break;
		}
	}
	list_insert_before(at, &share->link);
}

void fair_remove(struct fair_share *share)
{
	list_remove(&share->link);
}

static u64 budget(const struct fair_share *share)
{
	return share->limit_percent * (FAIR_PERIOD_NS / 100);
}

/* Begins a new period where one is due; what was overdrawn is taken from it. */
static void begin_period(struct fair_share *share, u64 now_ns)
{
	u64 periods = (now_ns - share->period_start_ns) / FAIR_PERIOD_NS;
	if (!periods)
		return;
	u64 earned = periods * budget(share);
	share->spent_ns = share->spent_ns > earned ? share->spent_ns - earned : 0;
	share->period_start_ns += periods * FAIR_PERIOD_NS;
}

static bool has_budget(struct fair_share *share, u64 now_ns)
{
	if (!share->limit_percent)
		return true;
	begin_period(share, now_ns);
	return share->spent_ns < budget(share);
}

struct fair_share *fair_take(struct fair_queue *queue, u64 now_ns)
{
	list_for_each (node, &queue->ready) {
		struct fair_share *share = share_of(node);
		if (!has_budget(share, now_ns))
			continue;
		list_remove(&share->link);
		return share;
	}
	return NULL;
}

void fair_charge(struct fair_queue *queue, struct fair_share *share, u64 ns, u64 now_ns)
{
	u64 least;
	share->virtual_ns += ns * FAIR_WEIGHT_DEFAULT / share->weight;
	least = share->virtual_ns;
	if (!list_is_empty(&queue->ready))
		least = MIN(least, share_of(queue->ready.next)->virtual_ns);
	queue->floor_ns = MAX(queue->floor_ns, least);
	if (!share->limit_percent)
		return;
	share->spent_ns +=
		ns; /* in the period that now ends, perhaps: what is too much for it goes on to the next */
	begin_period(share, now_ns);
}

u64 fair_deadline(struct fair_queue *queue, struct fair_share *running, u64 now_ns)
{
	u64 deadline = ~(u64)0, ready = 0;
	list_for_each (node, &queue->ready) {
		struct fair_share *share = share_of(node);
		if (has_budget(share, now_ns))
			ready++;
		else
			deadline = MIN(deadline, share->period_start_ns + FAIR_PERIOD_NS);
	}
	if (running && running->limit_percent && has_budget(running, now_ns))
		deadline = MIN(deadline, now_ns + budget(running) - running->spent_ns);
	if (ready)
		deadline =
			MIN(deadline, now_ns + MAX(FAIR_ROUND_NS / (ready + 1), FAIR_SLICE_MIN_NS));
	return deadline;
}
