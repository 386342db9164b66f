/* SPDX-License-Identifier: MIT */
/*
 * What the freestanding part asks of the place it runs in. Bound at link time: hosts/linux, hosts/fake, hosts/metal each
 * supply all of it. Nothing here fails silently; what can fail says so.
 */
#ifndef CORE_HOST_H
#define CORE_HOST_H

#include "base/status.h"
#include "base/types.h"

#define TIME_NEVER (~(u64)0)

/* Monotonic, since some point in the past; and wall clock since 1970 in UTC. */
u64 host_time_ns(void);
u64 host_wall_clock_ns(void);
/* Bytes from the place's random generator. */
void host_random(void *to, size_t bytes);

/* Zeroed memory, or NULL. For use before a machine starts, and by translators' arenas; bytes is rounded up to pages. */
void *host_memory_get(size_t bytes);
void host_memory_put(void *memory, size_t bytes);

/* Pages of guest RAM that need not be kept: they read as zeroes afterwards. From any thread. */
void host_memory_release(void *memory, size_t bytes);

/*
 * Memory for code, seen twice: written through one view, executed (and read) through the other, which no thread can write. No address is
 * ever both writable and executable. What is written is seen at once by whoever fetches it later; nothing needs flushing on this
 * processor. Its pages cost nothing until written. get: bytes is rounded up to pages and what it holds is not said; false, with
 * *memory untouched: there is no more. A place may have as much as the machine's code_cache_bytes in all, and none for an engine that
 * does not say needs_code_memory. put: nobody executes it any more; {0} is nothing.
 */
struct host_code_memory {
	u8 *write;
	const u8 *execute;
	size_t bytes;
};
bool host_code_memory_get(size_t bytes, struct host_code_memory *memory) must_use;
void host_code_memory_put(struct host_code_memory *memory);

/*
 * For a profiler: what a piece of an executable view is, as a word without line feeds. Any thread; what is named later at the same place
 * counts. is_wanted: false where nobody asked for it, and naming does nothing.
 */
bool host_code_naming_is_wanted(void);
void host_code_named(const void *start, size_t bytes, const char *name);

/*
 * Records for people, line by line (no line feed in it), where they asked for them; from any thread. is_wanted: false where nobody did.
 * false from record: no more is taken, and never will be.
 */
enum host_record { RECORD_TRACE, RECORD_BLOCKS, RECORDS };
bool host_record_is_wanted(enum host_record record);
bool host_record(enum host_record record, const char *line);

/* What %gs: addresses on the calling thread, until it ends. Nothing else of lodge uses GS. */
void host_thread_base_set(void *base);

/* Lets others run first: its caller waits for something that they may have to do. */
void host_yield(void);

/* A lock that sleeps. Not recursive. Initialise with host_lock_init; needs no end. */
struct host_lock {
	u64 opaque[6];
};
void host_lock_init(struct host_lock *lock);
void host_lock(struct host_lock *lock);
void host_unlock(struct host_lock *lock);

/*
 * A flag that one thread sleeps on: a signal before the wait is not lost; several signals are one. wait returns at a
 * signal or when host_time_ns() reaches deadline_ns (TIME_NEVER: no limit), and clears the flag.
 */
struct host_signal {
	u32 word;
};
void host_signal_raise(struct host_signal *signal);
void host_signal_wait(struct host_signal *signal, u64 deadline_ns);

/* The event queue's next deadline has become earlier: whoever runs events_run must look again. From any thread. */
struct machine;
void host_events_changed(struct machine *machine);
/* The machine has ended (core/machine.h's exit is set): whoever waits for it must look. From any thread. */
void host_machine_ended(struct machine *machine);

/* A line about the machine for its owner: no newline, no prefix. Rate-limiting is the caller's (core/trace.h). */
enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_TRACE };
void host_log(enum log_level level, const char *line);

#endif
