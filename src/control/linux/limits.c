/* SPDX-License-Identifier: MIT */
#include "control/linux/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/linux/cgroup.h"
#include "control/linux/message.h"
#include "control/linux/process.h"

/* Of stopping and continuing: how often it is looked at, and how much unused time may be saved up. */
#define TICK_NS 10000000ull
#define SAVED_NS 50000000ll
#define AUTOGROUP_TRIES 100

static struct {
	enum cgroup_kind kind;
	const struct machine_config *config;
	int nice;
	bool is_throttled;
	u64 at_ns, cpu_ns; /* when it was looked at last */
	i64 credit_ns;	   /* processor time that it may still take */
} limits;

/* ---- nice ---- */

/* A step of nice is a factor of 1.25 (Linux' sched_prio_to_weight); nice 0 is the default weight of 100. */
static int nice_of_weight(u32 weight)
{
	double step = 100;
	int nice = 0;

	while (nice > -20 && step * 1.118 < weight) {
		step *= 1.25;
		nice--;
	}
	while (nice < 19 && step / 1.118 > weight) {
		step /= 1.25;
		nice++;
	}
	return nice;
}

static bool may_be_nice(int nice)
{
	struct rlimit limit;

	return nice >= 0 || !geteuid() ||
		(!getrlimit(RLIMIT_NICE, &limit) && (rlim_t)(20 - nice) <= limit.rlim_cur);
}

/*
 * Linux' autogroups share processors between sessions first, so that a nice value counts within one only: a detached machine, which has a session of
 * its own, gets its session's weight set.
 */
static void weigh_session(void)
{
	char text[8];
	int fd = getsid(0) == getpid() ? open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	snprintf(text, sizeof(text), "%d", limits.nice);
	/* Only root may do it more than ten times a second. */
	for (unsigned i = 0; i < AUTOGROUP_TRIES; i++) {
		if (write(fd, text, strlen(text)) >= 0 || errno != EAGAIN)
			break;
		usleep(20000);
	}
	close(fd);
}

/* ---- stopping and continuing ---- */

void limits_prepare(struct loop *loop)
{
	u64 now = loop_now_ns(), cpu, percent = limits.config ? limits.config->cpu_limit : 0;

	if (!limits.is_throttled)
		return;
	if (now - limits.at_ns >= TICK_NS) {
		cpu = process_cpu_ns();
		limits.credit_ns += (i64)((now - limits.at_ns) * percent / 100);
		limits.credit_ns -= (i64)(cpu - limits.cpu_ns);
		limits.credit_ns = MIN(limits.credit_ns, SAVED_NS * (i64)percent / 100);
		limits.at_ns = now;
		limits.cpu_ns = cpu;
		process_hold(limits.credit_ns < 0);
	}
	loop_wake_at(loop, limits.at_ns + TICK_NS);
}

/* ---- all of them ---- */

static enum status open_own_means(const struct machine_config *config, struct error *error)
{
	if (config->memory_limit)
		return error_set(error, STATUS_UNSUPPORTED,
			"--memory-limit: needs cgroup v2 by systemd or a delegated group, and there "
			"is none here (lodge doctor); --memory bounds the guest's own memory");
	limits.nice = nice_of_weight(config->cpu_weight);
	if (!may_be_nice(limits.nice))
		return error_set(error, STATUS_UNSUPPORTED,
			"--cpu-weight %u: without cgroup v2 (lodge doctor) more than 100 needs "
			"root; lower the others' weights instead",
			config->cpu_weight);
	limits.is_throttled = config->cpu_limit;
	return STATUS_OK;
}

enum status limits_open(const struct machine_config *config, struct error *error)
{
	limits.config = config;
	if (config->cpu_weight == 100 && !config->cpu_limit && !config->memory_limit)
		return STATUS_OK;
	limits.kind = cgroup_find();
	if (limits.kind == CGROUP_NONE)
		return open_own_means(config, error);
	return limits.kind == CGROUP_OWN ? cgroup_create(config, error) : STATUS_OK;
}

int limits_enter(void)
{
	int failure = limits.kind == CGROUP_OWN ? cgroup_enter() : 0;

	if (!failure && limits.nice && setpriority(PRIO_PROCESS, 0, limits.nice))
		failure = errno;
	return failure;
}

enum status limits_apply(struct error *error)
{
	if (limits.nice)
		weigh_session();
	limits.at_ns = loop_now_ns();
	return limits.kind == CGROUP_SYSTEMD
		? cgroup_ask_systemd(limits.config, process_pid(), error)
		: STATUS_OK;
}

void limits_close(void)
{
	if (limits.kind == CGROUP_OWN)
		cgroup_destroy();
}

bool limits_describe(char *text, size_t bytes)
{
	static const char *const texts[] = {
		[CGROUP_NONE] =
			"no cgroup v2: --cpu-weight by nice values, --cpu-limit by stopping and continuing, no --memory-limit",
		[CGROUP_OWN] = "by a delegated cgroup v2: processors and memory",
		[CGROUP_SYSTEMD] = "by scopes of systemd: processors and memory",
	};
	enum cgroup_kind kind = cgroup_find();

	snprintf(text, bytes, "%s", texts[kind]);
	return kind != CGROUP_NONE;
}
