/* SPDX-License-Identifier: MIT */
/*
 * A workload does one thing over and over; one time of it takes some 0.1 to 10 ms natively, and gives the same checksum
 * each time, so that systems that are given different numbers of times can be compared.
 */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <stddef.h>
#include <stdint.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint8_t u8;

struct workload {
	const char *name;
	void (*setup)(void);	    /* before the clock starts; may be NULL */
	u64 (*once)(void);	    /* the checksum; or else */
	u64 (*run)(u64 times);	    /* all times together */
	u64 instructions;	    /* of one time, where it is known */
	const char *(*lacks)(void); /* what this processor lacks for it, or NULL */
};

/* Each ends with a row without a name. */
extern const struct workload integer_work[], floating_work[], memory_work[], kernel_work[],
	code_work[], thread_work[], disk_work[], network_work[];

#define BUFFER_SIZE (32u << 20)
extern u8
	*buffer; /* of BUFFER_SIZE bytes, all there, with random content at each workload's begin */
extern const char *busybox; /* the program */
extern const char *scratch; /* a folder in memory */

/* What the network's workloads talk to. */
void serve(void);

u64 next_random(void);
u64 hash_bytes(u64 hash, const void *data, size_t size);
_Noreturn void fail(const char *what);
/* What a system call gave, which must not be an error. */
long must(long result, const char *what);

#endif
