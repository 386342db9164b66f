/* SPDX-License-Identifier: MIT */
#include "hosts/linux/block_pool.h"

#include <pthread.h>

#include "core/machine.h"
#include "hosts/linux/block_ring.h"
#include "hosts/linux/sandbox/sandbox.h"

/* What a request's scratch words are for. */
enum { SCRATCH_BLOCK, SCRATCH_STATUS };

static struct {
	struct machine *machine;
	bool waits_for_end; /* CLOCK_INSTRUCTIONS */
	pthread_t threads[BLOCK_POOL_THREADS];
	unsigned thread_count;

	pthread_mutex_t lock; /* all below; taken inside machine->lock */
	pthread_cond_t has_work, has_ended;
	struct list pending, for_ring, ended;
	bool is_delivering; /* a thread is giving `ended` to the devices, or about to */
	bool is_closing;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER,
	.has_work = PTHREAD_COND_INITIALIZER,
	.has_ended = PTHREAD_COND_INITIALIZER,
	.pending = {&pool.pending, &pool.pending},
	.for_ring = {&pool.for_ring, &pool.for_ring},
	.ended = {&pool.ended, &pool.ended}};

static struct block_request *first_request(struct list *list)
{
	return container_of(list->next, struct block_request, link);
}

static struct pooled_block *block_of(const struct block_request *request)
{
	return (struct pooled_block *)request->scratch[SCRATCH_BLOCK];
}

/* ---- the end ---- */

/* A group of one disk's requests has ended, and its device knows. */
static void end_group(struct pooled_block *block, unsigned count)
{
	block->backend.settle(block->backend.device);
	pthread_mutex_lock(&pool.lock);
	block->in_flight -= count;
	pthread_cond_broadcast(&pool.has_ended);
	pthread_mutex_unlock(&pool.lock);
}

/* Hands ended requests to their devices. With machine->lock held; the pool's lock is not. */
static void deliver(struct list *ended)
{
	for (unsigned count = 1; !list_is_empty(ended); count++) {
		struct block_request *request = first_request(ended);
		struct pooled_block *block = block_of(request);

		list_remove(&request->link);
		request->done(request, (enum status)request->scratch[SCRATCH_STATUS]);
		if (list_is_empty(ended) || block_of(first_request(ended)) != block) {
			end_group(block, count);
			count = 0;
		}
	}
}

static void move_all(struct list *from, struct list *to)
{
	list_for_each_safe (node, from) {
		list_remove(node);
		list_append(to, node);
	}
}

/* One thread gives away what all have done, so that a device hears of many at once. The pool's lock is held. */
static void deliver_ended(void)
{
	if (pool.is_delivering)
		return;
	pool.is_delivering = true;
	while (!list_is_empty(&pool.ended)) {
		struct list ended;

		pthread_mutex_unlock(&pool.lock);
		host_lock(&pool.machine->lock);
		list_init(&ended);
		pthread_mutex_lock(&pool.lock);
		move_all(&pool.ended, &ended);
		pthread_mutex_unlock(&pool.lock);
		deliver(&ended);
		host_unlock(&pool.machine->lock);
		pthread_mutex_lock(&pool.lock);
	}
	pool.is_delivering = false;
}

/* ---- the threads ---- */

static void execute_next(void)
{
	struct block_request *request = first_request(&pool.pending);
	struct pooled_block *block = block_of(request);

	list_remove(&request->link);
	pthread_mutex_unlock(&pool.lock);
	request->scratch[SCRATCH_STATUS] = block->execute(block, request);
	pthread_mutex_lock(&pool.lock);
	list_append(&pool.ended, &request->link);
	if (pool.waits_for_end)
		pthread_cond_broadcast(&pool.has_ended);
	else
		deliver_ended();
}

static void *thread_main(void *argument)
{
	sandbox_enter_role(SANDBOX_DISK);
	pthread_mutex_lock(&pool.lock);
	while (!pool.is_closing) {
		if (list_is_empty(&pool.pending))
			pthread_cond_wait(&pool.has_work, &pool.lock);
		else
			execute_next();
	}
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

/* ---- the ring's side ---- */

struct block_request *block_pool_next_for_ring(void)
{
	struct block_request *request = NULL;

	pthread_mutex_lock(&pool.lock);
	if (!list_is_empty(&pool.for_ring)) {
		request = first_request(&pool.for_ring);
		list_remove(&request->link);
	}
	pthread_mutex_unlock(&pool.lock);
	return request;
}

unsigned block_pool_ring_file(const struct block_request *request)
{
	return block_of(request)->ring_file;
}

void block_pool_ended(struct list *requests)
{
	list_for_each (node, requests)
		container_of(node, struct block_request, link)->scratch[SCRATCH_STATUS] = STATUS_OK;
	pthread_mutex_lock(&pool.lock);
	move_all(requests, &pool.ended);
	deliver_ended();
	pthread_mutex_unlock(&pool.lock);
}

void block_pool_again(struct block_request *request)
{
	pthread_mutex_lock(&pool.lock);
	list_append(&pool.pending, &request->link);
	pthread_cond_signal(&pool.has_work);
	pthread_mutex_unlock(&pool.lock);
}

/* ---- what a backend does ---- */

static struct pooled_block *pooled(struct block_backend *backend)
{
	return container_of(backend, struct pooled_block, backend);
}

static void pool_submit(struct block_backend *backend, struct block_request *request)
{
	struct pooled_block *block = pooled(backend);

	if (block->try_now && block->try_now(block, request)) {
		request->done(request, STATUS_OK);
		return;
	}
	request->scratch[SCRATCH_BLOCK] = (u64)block;
	list_append(&block->submitted, &request->link);
}

/* In the order of submission, one after the other: whatever a request does, the guest sees the same in each run. */
static void run_to_end(struct pooled_block *block, struct list *begun)
{
	while (!list_is_empty(begun)) {
		struct list one;

		pthread_mutex_lock(&pool.lock);
		struct list *node = begun->next;
		list_remove(node);
		list_append(&pool.pending, node);
		pthread_cond_signal(&pool.has_work);
		while (list_is_empty(&pool.ended))
			pthread_cond_wait(&pool.has_ended, &pool.lock);
		list_init(&one);
		move_all(&pool.ended, &one);
		pthread_mutex_unlock(&pool.lock);
		deliver(&one);
	}
}

/* Hands it to who does it; true: that is the ring. */
static bool begin(struct pooled_block *block, struct list *node)
{
	struct block_request *request = container_of(node, struct block_request, link);
	bool is_for_ring =
		block->is_for_ring && request->operation == BLOCK_READ && block_ring_is_usable();

	list_append(is_for_ring ? &pool.for_ring : &pool.pending, node);
	if (!is_for_ring)
		pthread_cond_signal(&pool.has_work);
	return is_for_ring;
}

static void pool_start(struct block_backend *backend)
{
	struct pooled_block *block = pooled(backend);
	bool wakes_ring = false;
	struct list begun;

	list_init(&begun);
	pthread_mutex_lock(&pool.lock);
	list_for_each_safe (node, &block->submitted) {
		list_remove(node);
		block->in_flight++;
		if (pool.waits_for_end)
			list_append(&begun, node);
		else
			wakes_ring |= begin(block, node);
	}
	pthread_mutex_unlock(&pool.lock);
	if (wakes_ring)
		block_ring_wake();
	run_to_end(block, &begun);
}

static void pool_drain(struct block_backend *backend)
{
	struct pooled_block *block = pooled(backend);

	pthread_mutex_lock(&pool.lock);
	while (block->in_flight)
		pthread_cond_wait(&pool.has_ended, &pool.lock);
	pthread_mutex_unlock(&pool.lock);
}

static const struct block_ops pool_ops = {pool_submit, pool_start, pool_drain};

/* ---- life ---- */

void block_pool_add(struct pooled_block *block)
{
	block->backend.ops = &pool_ops;
	block->in_flight = 0;
	list_init(&block->submitted);
}

bool block_pool_start(struct machine *machine)
{
	pool.machine = machine;
	pool.waits_for_end = machine->clock.kind == CLOCK_INSTRUCTIONS;
	while (pool.thread_count < BLOCK_POOL_THREADS) {
		if (pthread_create(&pool.threads[pool.thread_count], NULL, thread_main, NULL))
			return false;
		pool.thread_count++;
	}
	return true;
}

void block_pool_finish(void)
{
	pthread_mutex_lock(&pool.lock);
	pool.is_closing = true;
	pthread_cond_broadcast(&pool.has_work);
	pthread_mutex_unlock(&pool.lock);
	while (pool.thread_count)
		pthread_join(pool.threads[--pool.thread_count], NULL);
}
