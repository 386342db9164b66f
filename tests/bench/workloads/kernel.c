/* SPDX-License-Identifier: MIT */
/* What the kernel does for programs: system calls, pipes, processes, memory, signals, files; busybox's programs and its shell. */
#include "tests/bench/workloads/work.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static char file[200]; /* 64 KiB of text in the scratch folder */
static char packed[210];
static int descriptor = -1;

/* ---- calls on files ---- */

static void make_file(void)
{
	static char text[64 << 10];
	size_t length = 0;
	if (descriptor >= 0)
		return;
	while (length < sizeof text)
		length += snprintf(text + length, sizeof text - length, "%llu guest page %llx\n",
			(unsigned long long)next_random() % 1000,
			(unsigned long long)next_random() % 65536);
	snprintf(file, sizeof file, "%s/work-text", scratch);
	descriptor = must(open(file, O_RDWR | O_CREAT | O_TRUNC, 0600), "open");
	must(write(descriptor, text, sizeof text), "write");
}

static u64 getppid_calls(void)
{
	u64 same = 0;
	pid_t mine = getppid();
	for (int i = 0; i < 500; i++)
		same += syscall(SYS_getppid) == mine;
	return same;
}

static u64 read_sizes(size_t size)
{
	static char data[4096];
	u64 sum = 0;
	for (int i = 0; i < 200; i++)
		sum += must(pread(descriptor, data, size, i % 16 * 4096), "pread") + data[0];
	return sum;
}
static u64 read_1(void)
{
	return read_sizes(1);
}
static u64 read_4k(void)
{
	return read_sizes(4096);
}

static u64 stat_calls(void)
{
	struct stat about;
	u64 sum = 0;
	for (int i = 0; i < 200; i++) {
		must(stat(file, &about), "stat");
		sum += about.st_size;
	}
	return sum;
}

static u64 clock_calls(void)
{
	struct timespec last = {0}, now;
	u64 good = 0;
	for (int i = 0; i < 1000; i++) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		good += now.tv_sec > last.tv_sec ||
			(now.tv_sec == last.tv_sec && now.tv_nsec >= last.tv_nsec);
		last = now;
	}
	return good;
}

static u64 create_unlink(void)
{
	char name[220];
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "%s/work-%d", scratch, i);
		int made = must(open(name, O_RDWR | O_CREAT | O_EXCL, 0600), "create");
		must(write(made, buffer, 4096), "write");
		close(made);
		must(unlink(name), "unlink");
	}
	return 20;
}

/* ---- processes ---- */

static void stay_here(void)
{
	cpu_set_t all;
	int here = must(sched_getcpu(), "sched_getcpu");
	CPU_ZERO(&all);
	CPU_SET(here, &all);
	must(sched_setaffinity(0, sizeof all, &all), "sched_setaffinity");
}

static void go_anywhere(void)
{
	cpu_set_t all;
	memset(&all, 0xff, sizeof all);
	must(sched_setaffinity(0, sizeof all, &all), "sched_setaffinity");
}

/* A byte goes round through processes on one processor, each with its own pipe. */
static u64 go_round(u64 times, int processes)
{
	int pipes[8][2];
	u64 sum = 0;
	char byte = 0;
	stay_here();
	for (int i = 0; i < processes; i++)
		must(pipe(pipes[i]), "pipe");
	for (int i = 1; i < processes; i++)
		if (!must(fork(), "fork")) {
			for (int k = 0; k < processes; k++)
				if (k != i)
					close(pipes[k]
						   [1]); /* so that each sees the end of its own */
			while (read(pipes[i - 1][0], &byte, 1) == 1) {
				byte++;
				if (write(pipes[i][1], &byte, 1) != 1)
					break;
			}
			_exit(0);
		}
	for (u64 i = 0; i < times * 20; i++) {
		byte = i % 20;
		must(write(pipes[0][1], &byte, 1), "write");
		must(read(pipes[processes - 1][0], &byte, 1), "read");
		sum += byte;
	}
	for (int i = 0; i < processes; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	for (int i = 1; i < processes; i++)
		must(wait(NULL), "wait");
	go_anywhere();
	return sum / times;
}
static u64 ping_pong(u64 times)
{
	return go_round(times, 2);
}
static u64 round_of_eight(u64 times)
{
	return go_round(times, 8);
}

static u64 fork_exit(void)
{
	int status;
	pid_t child = must(fork(), "fork");
	if (!child)
		_exit(7);
	must(waitpid(child, &status, 0), "wait");
	return WEXITSTATUS(status);
}

/* What a program of busybox writes, as a hash. */
static u64 output_of(const char *input, char *const words[])
{
	static char data[65536];
	int pipes[2], status;
	u64 sum = 0;
	must(pipe(pipes), "pipe");
	fflush(stdout);
	pid_t child = must(fork(), "fork");
	if (!child) {
		dup2(open(input ? input : "/dev/null", O_RDONLY), 0);
		dup2(pipes[1], 1);
		close(pipes[0]);
		close(pipes[1]);
		execve(busybox, words, (char *[]){"PATH=", "LC_ALL=C", NULL});
		_exit(126);
	}
	close(pipes[1]);
	for (ssize_t got; (got = must(read(pipes[0], data, sizeof data), "read")) > 0;)
		sum = hash_bytes(sum, data, got);
	close(pipes[0]);
	must(waitpid(child, &status, 0), "wait");
	if (status)
		fail(words[0]);
	return sum;
}

static u64 fork_exec(void)
{
	return output_of(NULL, (char *[]){"true", NULL});
}
static u64 gzip(void)
{
	return output_of(file, (char *[]){"gzip", "-c", NULL});
}
static u64 gunzip(void)
{
	return output_of(packed, (char *[]){"gunzip", "-c", NULL});
}
static u64 sha512sum(void)
{
	return output_of(file, (char *[]){"sha512sum", NULL});
}

static u64 shell(const char *format)
{
	char script[2000];
	snprintf(script, sizeof script, format, busybox, scratch, file);
	return output_of(NULL, (char *[]){"sh", "-c", script, NULL});
}

static void make_packed(void)
{
	make_file();
	snprintf(packed, sizeof packed, "%s.gz", file);
	shell("%1$s gzip -c <%3$s >%3$s.gz; : %2$s");
}

static u64 shell_loop(void)
{
	return shell(
		": %s %s %s; i=0; text=; while [ $i -lt 1000 ]; do i=$((i + 1)); case $i in *7) text=$text.$i;; esac; done; "
		"echo ${#text} ${text##*.}");
}

static u64 process_mix(void)
{
	return shell(
		"b=%s; d=%s; f=%s; for i in 1 2 3; do $b head -n 50 $f | $b sort | $b uniq -c | $b tail -n 1; "
		"$b grep -c 7$i $f; n=$($b wc -l <$f); echo $n; done; $b mkdir $d/work-mix; $b cp $f $d/work-mix/a; "
		"$b sed s/guest/host/ <$f | $b cmp - $d/work-mix/a | $b wc -l; $b ls $d/work-mix; $b rm -r $d/work-mix");
}

/* ---- memory and signals ---- */

static u64 page_faults(void)
{
	u64 sum = 0;
	u8 *at = mmap(NULL, 256 << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		fail("mmap");
	for (int i = 0; i < 256; i++)
		sum += ++((volatile u8 *)at)[i << 12];
	munmap(at, 256 << 12);
	return sum;
}

static u64 mprotect_calls(void)
{
	volatile u8 *at = buffer;
	u64 sum = 0;
	memset(buffer, 0, 16 << 12);
	for (int i = 0; i < 50; i++) {
		must(mprotect(buffer, 16 << 12, PROT_READ), "mprotect");
		sum += at[(i & 15) << 12];
		must(mprotect(buffer, 16 << 12, PROT_READ | PROT_WRITE), "mprotect");
		at[(i & 15) << 12] = i;
	}
	return sum;
}

static volatile u64 signals;
static void count_signal(int number)
{
	signals++;
}

static u64 signal_calls(void)
{
	struct sigaction action = {.sa_handler = count_signal};
	u64 before = signals;
	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < 50; i++)
		must(kill(getpid(), SIGUSR1), "kill");
	return signals - before;
}

/* The store that faulted has two bytes: goes on behind it. */
static void skip_store(int number, siginfo_t *info, void *context)
{
	signals++;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

static u64 faults_to_signals(void)
{
	struct sigaction action = {.sa_sigaction = skip_store, .sa_flags = SA_SIGINFO}, old;
	u64 before = signals;
	sigaction(SIGSEGV, &action, &old);
	for (int i = 0; i < 50; i++)
		__asm__ volatile("mov %%eax, (%0)" : : "D"(16ul) : "memory");
	sigaction(SIGSEGV, &old, NULL);
	return signals - before;
}

const struct workload kernel_work[] = {
	{"getppid", .once = getppid_calls},
	{"read-1", make_file, .once = read_1},
	{"read-4KiB", make_file, .once = read_4k},
	{"stat", make_file, .once = stat_calls},
	{"clock_gettime", .once = clock_calls},
	{"pipe-ping-pong", .run = ping_pong},
	{"switch-8-processes", .run = round_of_eight},
	{"fork-exit", .once = fork_exit},
	{"fork-exec", .once = fork_exec},
	{"page-faults", .once = page_faults},
	{"mprotect", .once = mprotect_calls},
	{"signals", .once = signal_calls},
	{"SIGSEGV-and-back", .once = faults_to_signals},
	{"create-write-unlink", .once = create_unlink},
	{"gzip", make_file, .once = gzip},
	{"gunzip", make_packed, .once = gunzip},
	{"sha512sum", make_file, .once = sha512sum},
	{"shell-loop", .once = shell_loop},
	{"process-mix", make_file, .once = process_mix},
	{0},
};
