/* SPDX-License-Identifier: MIT */
#include "hosts/metal/schedule/thread.h"
#include "base/check.h"
#include "hosts/metal/instructions.h"
#include "hosts/metal/interrupts/apic.h"
#include "hosts/metal/memory/frames.h"
#include "hosts/metal/memory/paging.h"
#include "hosts/metal/processor/extended_state.h"
#include "hosts/metal/processor/processor.h"

#define MSR_GS_BASE 0xc0000101u

void thread_switch_stacks(u64 *save, u64 load); /* schedule/switch.S */
void thread_begin(void);			/* calls thread_main on a new stack */
void thread_main(void);

static struct thread *threads[THREADS_MAX];
static struct spinlock threads_lock;

struct thread *thread_current(void)
{
	preempt_disable();
	struct thread *thread = processor_here()->queue.current;
	preempt_enable();
	return thread;
}

/* ---- ready and waiting: with the queue's lock ---- */

static void make_ready(struct run_queue *queue, struct thread *thread, bool has_slept)
{
	thread->state = THREAD_READY;
	list_remove(&thread->sleeper);
	if (thread->is_service)
		list_append(&queue->services, &thread->link);
	else
		fair_add(&queue->fair, &thread->share, has_slept);
}

static void wake_due(struct run_queue *queue, u64 now_ns)
{
	list_for_each_safe (node, &queue->sleepers) {
		struct thread *thread = container_of(node, struct thread, sleeper);
		if (thread->deadline_ns <= now_ns)
			make_ready(queue, thread, true);
	}
}

static u64 next_deadline(struct run_queue *queue, u64 now_ns)
{
	struct thread *current = queue->current;
	bool is_fair = current != queue->idle && !current->is_service;
	u64 deadline = fair_deadline(&queue->fair, is_fair ? &current->share : NULL, now_ns);
	list_for_each (node, &queue->sleepers)
		deadline = MIN(deadline, container_of(node, struct thread, sleeper)->deadline_ns);
	return deadline;
}

static struct thread *take_next(struct run_queue *queue, u64 now_ns)
{
	if (!list_is_empty(&queue->services)) {
		struct list *first = queue->services.next;
		list_remove(first);
		return container_of(first, struct thread, link);
	}
	struct fair_share *share = fair_take(&queue->fair, now_ns);
	return share ? container_of(share, struct thread, share) : queue->idle;
}

static void account(struct run_queue *queue, u64 now_ns)
{
	struct thread *thread = queue->current;
	u64 ns = now_ns - thread->started_ns;
	thread->ran_ns += ns;
	thread->started_ns = now_ns;
	if (!thread->is_service)
		fair_charge(&queue->fair, &thread->share, ns, now_ns);
}

/* ---- the switch ---- */

static void change(struct thread *from, struct thread *to)
{
	if (from->extended_state)
		extended_state_save(from->extended_state);
	if (to->extended_state)
		extended_state_restore(to->extended_state);
	if (to->base != from->base)
		msr_set(MSR_GS_BASE, (u64)to->base);
	thread_switch_stacks(&from->stack_pointer, to->stack_pointer);
}

/* Returns when the caller is to run again, with the lock of the queue that it is on then. */
static void switch_locked(struct processor *here)
{
	struct run_queue *queue = &here->queue;
	struct thread *from = queue->current;
	u64 now_ns = host_time_ns();

	here->needs_schedule = false;
	account(queue, now_ns);
	wake_due(queue, now_ns);
	if (from->state == THREAD_RUNNING && from != queue->idle)
		make_ready(queue, from, false);
	struct thread *to = take_next(queue, now_ns);
	queue->current = to;
	to->state = THREAD_RUNNING;
	to->started_ns = now_ns;
	apic_timer_set(next_deadline(queue, now_ns));
	if (to != from)
		change(from, to);
}

void thread_schedule(void)
{
	struct processor *here = processor_here();
	spinlock_take_bare(&here->queue.lock);
	switch_locked(here);
	spinlock_release_bare(&processor_here()->queue.lock);
}

void host_yield(void)
{
	bool were = interrupts_save();
	thread_schedule();
	interrupts_restore(were);
}

/* ---- signals ---- */

/* A signal's word: nothing, raised, or the number of the thread that waits, from SIGNAL_WAITER on. */
enum { SIGNAL_NONE, SIGNAL_RAISED, SIGNAL_WAITER };

static void wake(struct thread *thread)
{
	bool were = interrupts_save();
	struct processor *there = thread->processor, *here = processor_here();
	spinlock_take_bare(&there->queue.lock);
	if (thread->state == THREAD_WAITING) {
		account(&there->queue,
			host_time_ns()); /* what it begins from is what others have now */
		make_ready(&there->queue, thread, true);
		there->needs_schedule = true;
		if (there != here)
			apic_send(there->apic_id, VECTOR_KICK);
	}
	spinlock_release_bare(&there->queue.lock);
	if (were && here->needs_schedule && !here->preempt_disabled)
		thread_schedule();
	interrupts_restore(were);
}

void host_signal_raise(struct host_signal *signal)
{
	u32 before = __atomic_exchange_n(&signal->word, SIGNAL_RAISED, __ATOMIC_SEQ_CST);
	if (before >= SIGNAL_WAITER)
		wake(threads[before - SIGNAL_WAITER]);
}

/* True: it was raised, and is not any more. False: the thread's number is in it. */
static bool take_or_enter(struct host_signal *signal, const struct thread *thread)
{
	u32 word = __atomic_load_n(&signal->word, __ATOMIC_SEQ_CST), wanted;
	do
		wanted = word == SIGNAL_RAISED ? SIGNAL_NONE : SIGNAL_WAITER + thread->number;
	while (!__atomic_compare_exchange_n(
		&signal->word, &word, wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	return wanted == SIGNAL_NONE;
}

void host_signal_wait(struct host_signal *signal, u64 deadline_ns)
{
	bool were = interrupts_save();
	struct processor *here = processor_here();
	struct thread *thread = here->queue.current;

	check(!here->preempt_disabled && thread != here->queue.idle);
	spinlock_take_bare(&here->queue.lock);
	while (!take_or_enter(signal, thread)) {
		if (deadline_ns != TIME_NEVER && host_time_ns() >= deadline_ns) {
			__atomic_store_n(&signal->word, SIGNAL_NONE, __ATOMIC_SEQ_CST);
			break;
		}
		thread->state = THREAD_WAITING;
		thread->deadline_ns = deadline_ns;
		if (deadline_ns != TIME_NEVER)
			list_append(&here->queue.sleepers, &thread->sleeper);
		switch_locked(here);
		here = processor_here();
	}
	spinlock_release_bare(&here->queue.lock);
	interrupts_restore(were);
}

/* ---- a thread's life ---- */

void thread_main(void)
{
	struct thread *thread = processor_here()->queue.current;
	spinlock_release_bare(&processor_here()->queue.lock);
	interrupts_enable();
	thread->main(thread->argument);
	interrupts_disable(); /* whoever joins it must find it off this processor soon */
	host_signal_raise(&thread->ended);
	spinlock_take_bare(&processor_here()->queue.lock);
	thread->state = THREAD_ENDED;
	switch_locked(processor_here());
	check(false);
}

static bool number_take(struct thread *thread)
{
	bool found = false;
	spinlock_take(&threads_lock);
	for (u32 i = 0; i < THREADS_MAX && !found; i++) {
		found = !threads[i];
		if (found) {
			thread->number = i;
			threads[i] = thread;
		}
	}
	spinlock_release(&threads_lock);
	return found;
}

static void destroy(struct thread *thread)
{
	if (thread->stack) /* its guard page stays unmapped, and is lost */
		frames_put(thread->stack + FRAME_BYTES, THREAD_STACK_BYTES - FRAME_BYTES);
	if (thread->extended_state)
		frames_put(thread->extended_state, EXTENDED_STATE_BYTES);
	frames_put(thread, sizeof(*thread));
}

static bool stack_make(struct thread *thread)
{
	thread->stack = frames_get(THREAD_STACK_BYTES, FRAME_BYTES);
	if (!thread->stack)
		return false;
	paging_unmap_page(thread->stack);
	u64 *top = (u64 *)(thread->stack + THREAD_STACK_BYTES);
	*--top = 0;
	*--top = (u64)thread_begin;
	thread->stack_pointer = (u64)(top - 6); /* what switch.S pops */
	return true;
}

static struct thread *thread_new(const struct thread_parameters *parameters)
{
	struct thread *thread = frames_get(sizeof(*thread), FRAME_BYTES);
	if (!thread)
		return NULL;
	thread->name = parameters->name;
	thread->main = parameters->main;
	thread->argument = parameters->argument;
	thread->is_service = parameters->is_service;
	list_init(&thread->link);
	list_init(&thread->sleeper);
	fair_share_init(&thread->share,
		parameters->weight ? parameters->weight : FAIR_WEIGHT_DEFAULT,
		parameters->limit_percent);
	return thread;
}

static struct processor *least_loaded(void)
{
	struct processor *best = processors[0];
	for (unsigned i = 1; i < processor_count; i++)
		if (processors[i]->queue.threads < best->queue.threads)
			best = processors[i];
	return best;
}

struct thread *thread_create(const struct thread_parameters *parameters)
{
	struct thread *thread = thread_new(parameters);
	if (!thread)
		return NULL;
	if (!parameters->is_service) {
		thread->extended_state = frames_get(EXTENDED_STATE_BYTES, FRAME_BYTES);
		if (thread->extended_state)
			extended_state_init(thread->extended_state);
	}
	if ((!parameters->is_service && !thread->extended_state) || !stack_make(thread) ||
		!number_take(thread)) {
		destroy(thread);
		return NULL;
	}
	thread->processor = parameters->is_service ? processors[0] : least_loaded();
	thread->processor->queue.threads += !parameters->is_service;
	thread->state = THREAD_WAITING;
	wake(thread);
	return thread;
}

void thread_join(struct thread *thread)
{
	host_signal_wait(&thread->ended, TIME_NEVER);
	bool has_ended = false;
	while (!has_ended) { /* until it is off its stack */
		bool were = interrupts_save();
		spinlock_take_bare(&thread->processor->queue.lock);
		has_ended = thread->state == THREAD_ENDED;
		thread->processor->queue.threads -= has_ended && !thread->is_service;
		spinlock_release_bare(&thread->processor->queue.lock);
		interrupts_restore(were);
		cpu_pause();
	}
	threads[thread->number] = NULL;
	destroy(thread);
}

void thread_adopt_idle(void)
{
	static const struct thread_parameters parameters = {.name = "idle", .is_service = true};
	struct processor *here = processor_here();
	struct thread *idle = thread_new(&parameters);
	check(idle);
	idle->processor = here;
	idle->state = THREAD_RUNNING;
	idle->started_ns = host_time_ns();
	here->queue.idle = here->queue.current = idle;
}

void thread_idle(void)
{
	for (;;) {
		interrupts_disable();
		if (processor_here()->needs_schedule)
			thread_schedule();
		else
			interrupts_enable_and_halt();
	}
}
