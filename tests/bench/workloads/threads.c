/* SPDX-License-Identifier: MIT */
/* Two processors: independent work, contended atomics, wake-ups, TLB shootdowns. The last two bind each thread to its own one. */
#include "tests/bench/workloads/work.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *lacks_processor(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN) < 2 ? "a second processor" : NULL;
}

static void bind_to(int which)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(which, &set);
	must(sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
}

struct task {
	void (*work)(struct task *);
	u64 times, sum;
	int cpu;
};

static void *start(void *argument)
{
	struct task *task = argument;
	task->work(task);
	return NULL;
}

static u64 run_threads(int count, u64 times, void (*work)(struct task *))
{
	struct task tasks[2];
	pthread_t threads[2];
	u64 sum = 0;
	for (int i = 0; i < count; i++) {
		tasks[i] = (struct task){work, times, 0, i};
		if (pthread_create(&threads[i], NULL, start, &tasks[i]))
			fail("pthread_create");
	}
	for (int i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		sum += tasks[i].sum;
	}
	return sum;
}

static void compute(struct task *task)
{
	for (u64 i = 0; i < task->times; i++) {
		u64 value = 1;
		for (u64 k = 0; k < 50000; k++)
			value = (value ^ value >> 29) * 0x9e3779b97f4a7c15 + k;
		task->sum = value;
	}
}
static u64 compute_one(u64 times)
{
	return run_threads(1, times, compute) * 2;
}
static u64 compute_two(u64 times)
{
	return run_threads(2, times, compute);
}

static _Atomic u64 counter __attribute__((aligned(64)));
static void add(struct task *task)
{
	for (u64 i = 0; i < task->times * 5000; i++)
		atomic_fetch_add(&counter, 1);
}
static u64 atomics_one(u64 times)
{
	counter = 0;
	run_threads(1, times, add);
	return counter / times;
}
static u64 atomics_two(u64 times)
{
	counter = 0;
	run_threads(2, times, add);
	return counter / times;
}

/* Each waits for its turn. */
static _Atomic u32 turn;
static void take_turns(struct task *task)
{
	u32 mine = task->cpu;
	bind_to(task->cpu);
	for (u64 i = 0; i < task->times * 20; i++) {
		while (atomic_load(&turn) != mine)
			if (syscall(SYS_futex, &turn, FUTEX_WAIT, !mine, NULL, NULL, 0) == -1 &&
				errno != EAGAIN && errno != EINTR)
				fail("futex");
		atomic_store(&turn, !mine);
		syscall(SYS_futex, &turn, FUTEX_WAKE, 1, NULL, NULL, 0);
		task->sum++;
	}
}
static u64 wake_ups(u64 times)
{
	turn = 0;
	return run_threads(2, times, take_turns) / times;
}

/* One changes what the other may have in its TLB. */
static _Atomic int shooting;
static void shoot(struct task *task)
{
	volatile u8 *page = buffer;
	bind_to(task->cpu);
	if (task->cpu == 0) {
		for (u64 i = 0; i < task->times * 20; i++) {
			page[0] = i;
			must(mprotect(buffer, 4096, PROT_READ), "mprotect");
			must(mprotect(buffer, 4096, PROT_READ | PROT_WRITE), "mprotect");
		}
		task->sum = 20 * task->times;
		shooting = 0;
	}
	while (shooting)
		(void)page[64];
}
static u64 shootdowns(u64 times)
{
	shooting = 1;
	return run_threads(2, times, shoot) / times;
}

const struct workload thread_work[] = {
	{"compute-one", .run = compute_one, .lacks = lacks_processor},
	{"compute-two", .run = compute_two, .lacks = lacks_processor},
	{"atomics-one", .run = atomics_one, .lacks = lacks_processor},
	{"atomics-two", .run = atomics_two, .lacks = lacks_processor},
	{"wake-ups", .run = wake_ups, .lacks = lacks_processor},
	{"shootdowns", .run = shootdowns, .lacks = lacks_processor},
	{0},
};
