/* SPDX-License-Identifier: MIT */
/* What core/host.h asks of Linux, except what concerns the runner's own loop (runner.c). */
#include <asm/prctl.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "core/host.h"

static u64 clock_ns(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

void host_yield(void)
{
	sched_yield();
}

u64 host_time_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

u64 host_wall_clock_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

void host_random(void *to, size_t bytes)
{
	u8 *out = to;
	while (bytes) {
		ssize_t got = getrandom(out, bytes, 0);
		check(got > 0 || errno == EINTR);
		if (got > 0) {
			out += got;
			bytes -= (size_t)got;
		}
	}
}

void *host_memory_get(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

void host_memory_put(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, bytes);
}

void host_memory_release(void *memory, size_t bytes)
{
	/* A hole in the memfd: so it is gone from every mapping of it. */
	if (bytes && madvise(memory, bytes, MADV_REMOVE))
		memset(memory, 0, bytes);
}

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct host_lock), "a mutex fits a host_lock");

void host_lock_init(struct host_lock *lock)
{
	pthread_mutex_init((pthread_mutex_t *)lock, NULL);
}

void host_lock(struct host_lock *lock)
{
	pthread_mutex_lock((pthread_mutex_t *)lock);
}

void host_unlock(struct host_lock *lock)
{
	pthread_mutex_unlock((pthread_mutex_t *)lock);
}

void host_signal_raise(struct host_signal *signal)
{
	if (!__atomic_exchange_n(&signal->word, 1, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &signal->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void host_signal_wait(struct host_signal *signal, u64 deadline_ns)
{
	struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000),
		.tv_nsec = (long)(deadline_ns % 1000000000)};
	while (!__atomic_exchange_n(&signal->word, 0, __ATOMIC_SEQ_CST)) {
		/* The bitset form takes an absolute CLOCK_MONOTONIC time. */
		long result = syscall(SYS_futex, &signal->word, FUTEX_WAIT_BITSET_PRIVATE, 0,
			deadline_ns == TIME_NEVER ? NULL : &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
		if (result < 0 && errno == ETIMEDOUT)
			return;
	}
}

#define HWCAP2_HAS_FSGSBASE 2u

void host_thread_base_set(void *base)
{
	/* Since Linux 5.9, where the processor has it too: no system call. */
	if (getauxval(AT_HWCAP2) & HWCAP2_HAS_FSGSBASE)
		__asm__ volatile("wrgsbase %0" : : "r"(base) : "memory");
	else
		check(!syscall(SYS_arch_prctl, ARCH_SET_GS, base));
}

static bool stderr_is_terminal;

/* Before main: what locks the runner in does not let it ask. */
__attribute__((constructor)) static void look_at_stderr(void)
{
	stderr_is_terminal = isatty(STDERR_FILENO);
}

void host_log(enum log_level level, const char *line)
{
	static const char *const words[] = {"error: ", "warning: ", "", "trace: "};
	char buffer[300];
	/* The guest's terminal is raw: there a line feed alone does not go back to the first column. */
	int length = snprintf(buffer, sizeof(buffer), "lodge: %s%s%s\n", words[level], line,
		stderr_is_terminal ? "\r" : "");
	if (length >= (int)sizeof(buffer)) {
		length = sizeof(buffer) - 1;
		buffer[length - 1] = '\n';
	}
	ssize_t written = write(STDERR_FILENO, buffer, (size_t)length);
	(void)written;
}
