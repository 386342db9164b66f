/* SPDX-License-Identifier: MIT */
/*
 * Runs in a Linux guest, static: threads that use memory while it is unmapped, mapped anew and protected, that migrate from
 * processor to processor, and that compare their clocks. threads SECONDS; prints what went wrong, or `threads: good`.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGES 8
#define PAGE 4096
static volatile unsigned *area;
static atomic_uint generation, protected_generation, stop, stale, stores, back, turns, migrated;
static __thread sigjmp_buf fault;
static pthread_mutex_t clock_lock = PTHREAD_MUTEX_INITIALIZER;
static long long last_ns;

static void on_fault(int signal)
{
	siglongjmp(fault, 1);
}

/* Each page holds the generation in which it was mapped, or 0 for a moment. An older one is one that should be gone. */
static void look(unsigned page)
{
	if (sigsetjmp(fault, 1))
		return;
	unsigned at_least = generation;
	unsigned found = area[page * PAGE / 4];
	if (found && (int)(found - at_least) < 0)
		stale++;
}

/* While a generation is protected, no store of it comes through. */
static void store(unsigned page, unsigned self)
{
	if (sigsetjmp(fault, 1))
		return;
	unsigned before = protected_generation;
	area[page * PAGE / 4 + 16 + 16 * self]++;
	if (before && before == protected_generation)
		stores++;
}

static void compare_clocks(void)
{
	struct timespec t;
	pthread_mutex_lock(&clock_lock);
	clock_gettime(CLOCK_MONOTONIC, &t);
	long long now = t.tv_sec * 1000000000ll + t.tv_nsec;
	if (now < last_ns)
		back++;
	last_ns = now;
	pthread_mutex_unlock(&clock_lock);
}

static void migrate(unsigned to)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(to, &set);
	if (!sched_setaffinity(0, sizeof(set), &set) && sched_getcpu() == (int)to)
		migrated++;
}

static void *work(void *argument)
{
	unsigned self = (unsigned)(long)argument, cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	for (unsigned i = 0; !stop; i++) {
		look(i % PAGES);
		store(i % PAGES, self);
		if (i % 16 == 0)
			compare_clocks();
		if (i % 256 == 0)
			migrate((self + i / 256) % cpus);
		turns++;
	}
	return NULL;
}

static void map_anew(void)
{
	unsigned next = generation + 1;
	munmap((void *)area, PAGES * PAGE);
	if (mmap((void *)area, PAGES * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		exit(1);
	for (unsigned i = 0; i < PAGES; i++)
		area[i * PAGE / 4] = next;
	generation = next;
}

static void protect(void)
{
	mprotect((void *)area, PAGES * PAGE, PROT_READ);
	protected_generation = generation;
	for (volatile int i = 0; i < 2000; i++)
		;
	protected_generation = 0;
	mprotect((void *)area, PAGES * PAGE, PROT_READ | PROT_WRITE);
}

int main(int argc, char **argv)
{
	unsigned threads = (unsigned)sysconf(_SC_NPROCESSORS_ONLN), forks = 0;
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
	pthread_t thread[64];
	signal(SIGSEGV, on_fault);
	area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, work, (void *)i);
	while (time(NULL) < end) {
		map_anew();
		protect();
		if (generation % 16 == 0) {
			pid_t child = fork();
			if (!child)
				_exit(7);
			int status = 0;
			waitpid(child, &status, 0);
			forks += WIFEXITED(status) && WEXITSTATUS(status) == 7;
		}
	}
	stop = 1;
	for (unsigned i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	printf("threads: %u turns, %u mappings, %u migrations, %u forks\n", turns, generation,
		migrated, forks);
	if (stale || stores || back || !migrated || !forks) {
		printf("threads: %u stale reads, %u stores to what was protected, %u clocks went back\n",
			stale, stores, back);
		return 1;
	}
	printf("threads: good\n");
	return 0;
}
