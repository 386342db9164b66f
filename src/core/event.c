/* SPDX-License-Identifier: MIT */
/* The event queue: a list by deadline. A machine has a dozen events, so a list is what is fastest. */
#include "core/event.h"
#include "core/machine.h"

void event_queue_init(struct event_queue *queue)
{
	list_init(&queue->events);
	queue->next_identity = 0;
	queue->next_deadline_ns = TIME_NEVER;
}

void event_init(
	struct event *event, struct machine *machine, void (*fire)(void *owner), void *owner)
{
	list_init(&event->link);
	event->machine = machine;
	event->fire = fire;
	event->owner = owner;
	event->deadline_ns = TIME_NEVER;
	event->identity = machine->events.next_identity++;
}

static struct event *first_event(struct event_queue *queue)
{
	if (list_is_empty(&queue->events))
		return NULL;
	return container_of(queue->events.next, struct event, link);
}

/* Publishes the first deadline, and tells the host where it came nearer. */
static void update_next(struct machine *machine)
{
	struct event_queue *queue = &machine->events;
	struct event *first = first_event(queue);
	u64 next = first ? first->deadline_ns : TIME_NEVER;
	u64 before = __atomic_exchange_n(&queue->next_deadline_ns, next, __ATOMIC_SEQ_CST);
	if (next < before)
		host_events_changed(machine);
}

static bool comes_before(const struct event *a, const struct event *b)
{
	if (a->deadline_ns != b->deadline_ns)
		return a->deadline_ns < b->deadline_ns;
	return a->identity < b->identity;
}

void event_set(struct event *event, u64 deadline_ns)
{
	struct list *at = &event->machine->events.events;
	list_remove(&event->link);
	event->deadline_ns = deadline_ns;
	if (deadline_ns != TIME_NEVER) {
		list_for_each (node, at) {
			if (comes_before(event, container_of(node, struct event, link))) {
				at = node;
				break;
			}
		}
		list_insert_before(at, &event->link);
	}
	update_next(event->machine);
}

void event_cancel(struct event *event)
{
	if (event_is_set(event))
		event_set(event, TIME_NEVER);
}

void events_run(struct machine *machine, u64 now_ns)
{
	if (events_next_deadline(machine) > now_ns)
		return;
	host_lock(&machine->lock);
	for (struct event *event = first_event(&machine->events);
		event && event->deadline_ns <= now_ns; event = first_event(&machine->events)) {
		event_cancel(event);
		event->fire(event->owner);
	}
	host_unlock(&machine->lock);
}

u64 events_next_deadline(const struct machine *machine)
{
	return __atomic_load_n(&machine->events.next_deadline_ns, __ATOMIC_ACQUIRE);
}
