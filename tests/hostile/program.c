/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/hostile/hostile.h"

/* A case takes milliseconds, under a sanitizer and a busy host some seconds. */
#define HANG_SECONDS 120
#define FAILURES_MAX 20

static void run_case(const struct hostile_program *program, u64 seed, u64 number)
{
	alarm(HANG_SECONDS);
	program->run(seed, number);
	alarm(0);
}

/* Runs [*next, count); *next is the case at work. True: all ran. */
static bool run_in_child(const struct hostile_program *program, u64 seed, volatile u64 *next,
	u64 count, int *wait_status)
{
	pid_t child = fork();

	if (child < 0) {
		perror("fork");
		exit(1);
	}
	if (!child) {
		for (; *next < count; ++*next)
			run_case(program, seed, *next);
		exit(0);
	}
	waitpid(child, wait_status, 0);
	return WIFEXITED(*wait_status) && !WEXITSTATUS(*wait_status);
}

static void report(const struct hostile_program *program, u64 seed, u64 number, int wait_status)
{
	const char *why = !WIFSIGNALED(wait_status) ? "reported"
		: WTERMSIG(wait_status) == SIGALRM  ? "hung"
						    : strsignal(WTERMSIG(wait_status));

	printf("FAIL %s --seed %lu --case %lu: %s\n", program->name, seed, number, why);
}

static void usage(const char *name)
{
	fprintf(stderr, "usage: %s [--count N] [--seed S] [--case K] [--engine interp|translate]\n",
		name);
	exit(2);
}

static void choose_engine(const char *program, const char *name)
{
	if (!strcmp(name, engine_translator.name))
		hostile_engine = &engine_translator;
	else if (strcmp(name, engine_interpreter.name))
		usage(program);
}

int hostile_main(int argc, char **argv, const struct hostile_program *program)
{
	u64 count = program->count, seed = 1, failed = 0, only = ~(u64)0;
	volatile u64 *next =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int wait_status;

	for (int at = 1; at < argc; at += 2) {
		if (!strcmp(argv[at], "--engine") && at + 1 < argc) {
			choose_engine(argv[0], argv[at + 1]);
			continue;
		}
		u64 *to = !strcmp(argv[at], "--count") ? &count
			: !strcmp(argv[at], "--seed")  ? &seed
			: !strcmp(argv[at], "--case")  ? &only
						       : NULL;
		if (!to || at + 1 == argc)
			usage(argv[0]);
		*to = strtoull(argv[at + 1], NULL, 0);
	}
	if (next == MAP_FAILED)
		return 1;
	if (only != ~(u64)0) {
		run_case(program, seed, only);
		printf("1 passed, 0 failed\n");
		return 0;
	}
	printf("%s: %lu cases, seed %lu\n", program->name, count, seed);
	fflush(stdout);
	while (*next < count && !run_in_child(program, seed, next, count, &wait_status)) {
		report(program, seed, *next, wait_status);
		fflush(stdout);
		++*next;
		if (++failed == FAILURES_MAX) {
			printf("%lu cases were not run\n", count - *next);
			break;
		}
	}
	printf("%lu passed, %lu failed\n", *next - failed, failed);
	return failed != 0;
}
