/* SPDX-License-Identifier: MIT */
/*
 * Things that happen at a time of the machine's clock. Each chip owns its events; the queue is ordered by deadline and, for
 * equal deadlines, by identity (order of event_init), so that a loaded machine behaves as the saved one.
 *
 * Lock: machine->lock guards the queue, and is held while `fire` runs.
 */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "base/list.h"
#include "base/types.h"
#include "core/host.h"

struct machine;

struct event {
	struct list link;
	struct machine *machine;
	void (*fire)(void *owner); /* may set the event again */
	void *owner;
	u64 deadline_ns; /* TIME_NEVER: not set */
	u32 identity;
};

struct event_queue {
	struct list events; /* by deadline, identity */
	u32 next_identity;
	u64 next_deadline_ns; /* of the first one, or TIME_NEVER; readable without the lock (atomic) */
};

void event_queue_init(struct event_queue *queue);
void event_init(
	struct event *event, struct machine *machine, void (*fire)(void *owner), void *owner);
/* At the clock's deadline_ns (now or earlier: as soon as may be). Replaces an earlier setting. */
void event_set(struct event *event, u64 deadline_ns);
void event_cancel(struct event *event);
static inline bool event_is_set(const struct event *event)
{
	return event->deadline_ns != TIME_NEVER;
}

/* Fires what is due at now_ns, in order. Takes machine->lock. */
void events_run(struct machine *machine, u64 now_ns);
/* The next deadline, or TIME_NEVER. From any thread. */
u64 events_next_deadline(const struct machine *machine);

#endif
