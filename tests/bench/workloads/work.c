/* SPDX-License-Identifier: MIT */
/*
 * work BUSYBOX SCRATCH, or work serve: the workloads of `make bench`, the same static binary natively and in guests. It obeys lines on its
 * standard input: `list` prints `WORK group name instructions` for each, or `LACKS group name what`, and then `LISTED`; `do NAME TIMES`
 * prints `BEGIN name` and `END name checksum`, which are stamped by the host that reads them; `end` ends it. No clock is read here.
 */
#include "tests/bench/workloads/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct group {
	const char *name;
	const struct workload *work;
} groups[] = {
	{"integer", integer_work},
	{"floating", floating_work},
	{"memory", memory_work},
	{"kernel", kernel_work},
	{"code", code_work},
	{"threads", thread_work},
	{"disk", disk_work},
	{"network", network_work},
};

u8 *buffer;
const char *busybox, *scratch;
static u64 seed;

u64 next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* FNV-1a. */
u64 hash_bytes(u64 hash, const void *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ ((const u8 *)data)[i]) * 0x100000001b3;
	return hash;
}

_Noreturn void fail(const char *what)
{
	printf("FAILED %s\n", what);
	exit(1);
}

long must(long result, const char *what)
{
	if (result == -1)
		fail(what);
	return result;
}

static u64 repeat(const struct workload *work, u64 times)
{
	if (work->run)
		return work->run(times);
	u64 sum = work->once();
	while (--times)
		if (work->once() != sum)
			fail("one time differs from another");
	return sum;
}

static void prepare(const struct workload *work)
{
	static const struct workload *last;
	seed = 88172645463325252;
	/* The first 2 MiB, which is all that workloads read without having written it. */
	for (u64 i = 0; i < 2 << 20; i += 8)
		*(u64 *)(buffer + i) = (i + 1) * 0x9e3779b97f4a7c15 ^ i << 7;
	if (work != last && work->setup)
		work->setup();
	last = work;
}

static void perform(const char *name, u64 times)
{
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		for (const struct workload *work = groups[i].work; work->name; work++)
			if (!strcmp(work->name, name)) {
				prepare(work);
				printf("BEGIN %s\n", name);
				printf("END %s %llx\n", name,
					(unsigned long long)repeat(work, times));
				return;
			}
	fail("there is no such workload");
}

static void list(void)
{
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		for (const struct workload *work = groups[i].work; work->name; work++) {
			const char *lacks = work->lacks ? work->lacks() : NULL;
			if (lacks)
				printf("LACKS %s %s %s\n", groups[i].name, work->name, lacks);
			else
				printf("WORK %s %s %llu\n", groups[i].name, work->name,
					(unsigned long long)work->instructions);
		}
	puts("LISTED");
}

int main(int count, char **words)
{
	char line[100], name[40];
	unsigned long long times;

	setvbuf(stdout, NULL, _IOLBF, 1024);
	if (count == 2 && !strcmp(words[1], "serve")) {
		serve();
		return 0;
	}
	if (count != 3)
		return 2;
	busybox = words[1];
	scratch = words[2];
	buffer =
		mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffer == MAP_FAILED)
		fail("no memory");
	memset(buffer, 1, BUFFER_SIZE);
	madvise(buffer, BUFFER_SIZE, MADV_DONTFORK); /* a fork is one of a small process */
	puts("AT YOUR SERVICE");
	while (fgets(line, sizeof line, stdin) && strcmp(line, "end\n"))
		if (sscanf(line, "do %39s %llu", name, &times) == 2 && times)
			perform(name, times);
		else if (!strcmp(line, "list\n"))
			list();
	return 0;
}
