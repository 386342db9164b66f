/* SPDX-License-Identifier: MIT */
/*
 * The deterministic host of tests and fuzzers: time stands still until a test moves it, random bytes are a fixed
 * sequence, waiting moves the time to the deadline. One thread.
 */
#ifndef HOSTS_FAKE_FAKE_H
#define HOSTS_FAKE_FAKE_H

#include "base/types.h"

extern u64 fake_time_ns;
extern u64 fake_wall_clock_ns;
extern u64 fake_random_state;
extern unsigned fake_allocations_left; /* host_memory_get fails once this is 0; ~0u: never */
extern unsigned fake_log_lines;
extern char fake_last_log[256];
extern char fake_log[32768];	/* all lines, each with its newline, as far as they fit */
extern char fake_record[32768]; /* all records' lines, each with its newline, as far as they fit */
extern unsigned fake_record_lines_max
	[2]; /* by enum host_record: how many more are taken; 0: none is wanted */
extern unsigned fake_machines_ended;
extern bool fake_wants_code_named;
extern char fake_last_code_name[256];

/* As at the start of the program. */
void fake_reset(void);

#endif
