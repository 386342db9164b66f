/* SPDX-License-Identifier: MIT */
#include "hosts/linux/block_ring.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "hosts/linux/block_pool.h"
#include "hosts/linux/sandbox/sandbox.h"

#define ENTRIES 128 /* one of them is the wake-up's */
#define FILES_MAX 32

static struct {
	struct io_uring ring;
	bool is_there;
	int wake;	     /* an eventfd */
	unsigned wake_index; /* among the registered files: behind the disks */
	u32 is_off;	     /* atomic: the kernel does not read as it should */
	u32 is_closing;	     /* atomic */
	pthread_t thread;
	bool is_started;
	/* The thread's own. */
	unsigned in_flight;
	bool waits_for_wake;
} all = {.wake = -1};

/* ---- making it ---- */

static bool restrict_ring(void)
{
	struct io_uring_restriction restrictions[] = {
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READV},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_POLL_ADD},
		{.opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE},
	};

	return !io_uring_register_restrictions(&all.ring, restrictions, ARRAY_SIZE(restrictions)) &&
		!io_uring_enable_rings(&all.ring);
}

static bool register_files(const int *disks, unsigned count)
{
	int files[FILES_MAX];

	for (unsigned i = 0; i < count; i++)
		files[i] = disks[i];
	files[count] = all.wake;
	all.wake_index = count;
	return !io_uring_register_files(&all.ring, files, count + 1);
}

bool block_ring_prepare(const int *disks, unsigned count)
{
	struct io_uring_params parameters = {.flags = IORING_SETUP_R_DISABLED};

	if (count >= FILES_MAX || io_uring_queue_init_params(ENTRIES, &all.ring, &parameters))
		return false;
	all.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	all.is_there = all.wake >= 0 && register_files(disks, count) && restrict_ring();
	if (all.is_there)
		return true;
	io_uring_queue_exit(&all.ring);
	if (all.wake >= 0)
		close(all.wake);
	return false;
}

unsigned block_ring_descriptors(int descriptors[BLOCK_RING_DESCRIPTORS])
{
	if (!all.is_there)
		return 0;
	descriptors[0] = all.ring.ring_fd;
	descriptors[1] = all.wake;
	return 2;
}

/* ---- the thread ---- */

static void fill_entry(struct io_uring_sqe *entry, struct block_request *request)
{
	io_uring_prep_readv(entry, (int)block_pool_ring_file(request),
		(const struct iovec *)request->segments, request->segment_count, request->offset);
	io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(entry, request);
}

static void wait_for_wake(void)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&all.ring);

	check(entry);
	io_uring_prep_poll_add(entry, (int)all.wake_index, POLLIN);
	io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(entry, NULL);
	all.waits_for_wake = true;
}

static void fill(void)
{
	struct block_request *request;

	if (!all.waits_for_wake)
		wait_for_wake();
	while (all.in_flight < ENTRIES - 1 && io_uring_sq_space_left(&all.ring) &&
		(request = block_pool_next_for_ring())) {
		fill_entry(io_uring_get_sqe(&all.ring), request);
		all.in_flight++;
	}
}

/* A file system that would need a thread of the kernel's for it, which we may not have: never again. */
static void end_request(struct block_request *request, int result, struct list *ended)
{
	all.in_flight--;
	if (result >= 0 && (u64)result == request->bytes) {
		list_append(ended, &request->link);
		return;
	}
	if (result < 0 && result != -EINTR)
		__atomic_store_n(&all.is_off, 1, __ATOMIC_RELAXED);
	block_pool_again(request);
}

static void take_wake(void)
{
	u64 count;
	ssize_t got = read(all.wake, &count, sizeof(count));

	(void)got;
	all.waits_for_wake = false;
}

static void reap(void)
{
	struct io_uring_cqe *entry;
	struct list ended;
	unsigned head, count = 0;

	list_init(&ended);
	io_uring_for_each_cqe(&all.ring, head, entry)
	{
		struct block_request *request = io_uring_cqe_get_data(entry);

		if (request)
			end_request(request, entry->res, &ended);
		else
			take_wake();
		count++;
	}
	io_uring_cq_advance(&all.ring, count);
	if (!list_is_empty(&ended))
		block_pool_ended(&ended);
}

static void *ring_main(void *argument)
{
	sandbox_enter_role(SANDBOX_DISK);
	while (!__atomic_load_n(&all.is_closing, __ATOMIC_ACQUIRE)) {
		fill();
		int result = io_uring_submit_and_wait(&all.ring, 1);
		check(result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY);
		reap();
	}
	return NULL;
}

/* ---- for the pool ---- */

bool block_ring_is_usable(void)
{
	return all.is_started && !__atomic_load_n(&all.is_off, __ATOMIC_RELAXED);
}

void block_ring_wake(void)
{
	static const u64 one = 1;
	ssize_t written = write(all.wake, &one, sizeof(one));

	(void)written;
}

unsigned block_ring_threads(void)
{
	return all.is_there;
}

bool block_ring_start(void)
{
	all.is_started = all.is_there && !pthread_create(&all.thread, NULL, ring_main, NULL);
	return all.is_started || !all.is_there;
}

void block_ring_finish(void)
{
	if (!all.is_started)
		return;
	__atomic_store_n(&all.is_closing, 1, __ATOMIC_RELEASE);
	block_ring_wake();
	pthread_join(all.thread, NULL);
	all.is_started = false;
}
