/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "core/host.h"
#include "hosts/fake/fake.h"

u64 fake_time_ns = 1000000000;
u64 fake_wall_clock_ns = 1700000000000000000;
u64 fake_random_state = 1;
unsigned fake_allocations_left = ~0u;
unsigned fake_log_lines;
char fake_last_log[256];
char fake_log[32768];
char fake_record[32768];
unsigned fake_record_lines_max[RECORDS];
unsigned fake_machines_ended;
bool fake_wants_code_named;
char fake_last_code_name[256];

void fake_reset(void)
{
	fake_time_ns = 1000000000;
	fake_wall_clock_ns = 1700000000000000000;
	fake_random_state = 1;
	fake_allocations_left = ~0u;
	fake_log_lines = 0;
	fake_record[0] = 0;
	memset(fake_record_lines_max, 0, sizeof(fake_record_lines_max));
	fake_last_log[0] = 0;
	fake_log[0] = 0;
	fake_machines_ended = 0;
	fake_wants_code_named = false;
	fake_last_code_name[0] = 0;
}

void host_yield(void) {}

u64 host_time_ns(void)
{
	return fake_time_ns;
}

u64 host_wall_clock_ns(void)
{
	return fake_wall_clock_ns;
}

void host_random(void *to, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		fake_random_state = fake_random_state * 6364136223846793005 + 1442695040888963407;
		((u8 *)to)[i] = fake_random_state >> 56;
	}
}

void *host_memory_get(size_t bytes)
{
	if (!fake_allocations_left)
		return NULL;
	if (fake_allocations_left != ~0u)
		fake_allocations_left--;
	size_t rounded = (bytes + 4095) & ~(size_t)4095;
	void *memory = aligned_alloc(4096, rounded ? rounded : 4096);
	if (memory)
		memset(memory, 0, rounded);
	return memory;
}

void host_memory_put(void *memory, size_t bytes)
{
	free(memory);
}

void host_memory_release(void *memory, size_t bytes)
{
	memset(memory, 0, bytes);
}

void host_lock_init(struct host_lock *lock)
{
	*lock = (struct host_lock){0};
}

void host_lock(struct host_lock *lock)
{
	check(!lock->opaque[0]); /* one thread: a second taking is a fault of ours */
	lock->opaque[0] = 1;
}

void host_unlock(struct host_lock *lock)
{
	check(lock->opaque[0]);
	lock->opaque[0] = 0;
}

void host_signal_raise(struct host_signal *signal)
{
	signal->word = 1;
}

void host_signal_wait(struct host_signal *signal, u64 deadline_ns)
{
	check(signal->word || deadline_ns != TIME_NEVER); /* it would be for ever */
	if (!signal->word && deadline_ns > fake_time_ns)
		fake_time_ns = deadline_ns;
	signal->word = 0;
}

void host_events_changed(struct machine *machine) {}

void host_machine_ended(struct machine *machine)
{
	fake_machines_ended++;
}

void host_log(enum log_level level, const char *line)
{
	size_t used = strlen(fake_log);

	fake_log_lines++;
	snprintf(fake_log + used, sizeof(fake_log) - used, "%s\n", line);
	snprintf(fake_last_log, sizeof(fake_last_log), "%s", line);
}

bool host_record_is_wanted(enum host_record record)
{
	return fake_record_lines_max[record] != 0;
}

bool host_record(enum host_record record, const char *line)
{
	size_t used = strlen(fake_record);

	if (!fake_record_lines_max[record])
		return false;
	fake_record_lines_max[record]--;
	snprintf(fake_record + used, sizeof(fake_record) - used, "%s\n", line);
	return true;
}

void check_failed(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
	abort();
}
