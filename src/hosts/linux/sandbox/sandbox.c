/* SPDX-License-Identifier: MIT */
#include "hosts/linux/sandbox/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "core/host.h"
#include "hosts/linux/runner.h"
#include "hosts/linux/sandbox/layers.h"

/* By hand: the build's headers may be older than the host's kernel. */
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1ul
#endif

/* The least that NOFILE is: poll and the C library count on a few. */
#define DESCRIPTORS_MIN 8

static bool is_locked_in, has_lists;
static pthread_barrier_t all_have_roles;

/* ---- descriptors ---- */

/* The lowest of those that stay from `from` on; -1: none. */
static int next_kept(const struct sandbox *sandbox, int from)
{
	int lowest = -1;

	for (unsigned i = 0; i < sandbox->descriptor_count; i++) {
		int fd = sandbox->descriptors[i];
		if (fd >= from && (lowest < 0 || fd < lowest))
			lowest = fd;
	}
	return lowest;
}

/* Returns one more than the highest that stays. */
static unsigned close_others(const struct sandbox *sandbox)
{
	unsigned from = 0;

	for (int kept = next_kept(sandbox, 0); kept >= 0; kept = next_kept(sandbox, kept + 1)) {
		if ((unsigned)kept > from)
			close_range(from, (unsigned)kept - 1, 0);
		from = (unsigned)kept + 1;
	}
	close_range(from, ~0u, 0);
	return from;
}

/* ---- privileges ---- */

static bool drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return !syscall(SYS_capset, &header, none);
}

/* The front's death kills us, also if it came just now; a change of credentials may have undone that. */
static void die_with(pid_t front)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != front)
		_exit(LODGE_EXIT_FAILURE);
}

/* What is not code by now never becomes code, nor writable while it is (Linux 6.3). */
static bool deny_new_code(void)
{
	return !SANDBOX_IS_REDUCED && !prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
}

static void drop_privileges(struct sandbox_layer *layer, pid_t front)
{
	bool denies_code = deny_new_code();

	/* Not dumpable: nobody of the same user attaches to it, and there is no core with a guest's memory. */
	if (!SANDBOX_IS_REDUCED)
		prctl(PR_SET_DUMPABLE, 0);
	if (!drop_capabilities())
		layer_set(layer, false, "capabilities cannot be dropped: %s", strerror(errno));
	else
		layer_set(layer, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
			"no capabilities, no new privileges%s",
			denies_code ? ", no memory becomes code" : "");
	die_with(front);
}

/* ---- limits ---- */

/* Lowers what may be had and what could be asked for; raises neither. */
static bool limit(int what, u64 most)
{
	struct rlimit value;

	if (getrlimit(what, &value))
		return false;
	value.rlim_cur = MIN(value.rlim_cur, most);
	value.rlim_max = MIN(value.rlim_max, most);
	return !setrlimit(what, &value);
}

static bool is_file(int fd)
{
	struct stat info;

	return !fstat(fd, &info) && (S_ISREG(info.st_mode) || S_ISBLK(info.st_mode));
}

/* What the console, messages or names of code go to may be a file, and a long one. */
static bool writes_files(const struct sandbox *sandbox)
{
	for (unsigned i = 0; i < sandbox->unbounded_count; i++) {
		int fd = sandbox->descriptors[i];
		if (fd > STDIN_FILENO && is_file(fd))
			return true;
	}
	return false;
}

static void set_limits(
	struct sandbox_layer *layer, const struct sandbox *sandbox, unsigned descriptors)
{
	const struct {
		int what;
		u64 most;
	} limits[] = {
		{RLIMIT_CORE, 0}, /* the first: all that a reduced build gets */
		{RLIMIT_NOFILE, MAX(descriptors, DESCRIPTORS_MIN)},
		{RLIMIT_MEMLOCK, 0},
		{RLIMIT_MSGQUEUE, 0},
		{RLIMIT_NICE, 0},
		{RLIMIT_RTPRIO, 0},
		{RLIMIT_FSIZE, writes_files(sandbox) ? RLIM_INFINITY : sandbox->file_bytes_max},
	};

	for (size_t i = 0; i < (SANDBOX_IS_REDUCED ? 1 : ARRAY_SIZE(limits)); i++) {
		if (!limit(limits[i].what, limits[i].most)) {
			layer_set(layer, false, "not all of them: %s", strerror(errno));
			return;
		}
	}
	layer_set(layer, true, "%s",
		SANDBOX_IS_REDUCED ? "no core; no others in a build with sanitizers or coverage"
				   : "descriptors, processes, no core, no files");
}

/* ---- all of it ---- */

static void enter_lists(struct sandbox_layer *layer)
{
	if (layer->is_there && !syscalls_enter(SANDBOX_STARTUP))
		layer_set(layer, false, "the kernel takes no list of system calls: %s",
			strerror(errno));
	has_lists = layer->is_there;
	if (has_lists)
		layer_set(layer, true,
			SANDBOX_IS_REDUCED ? "reduced: this build has sanitizers or coverage"
					   : "a list of its own for each kind of thread");
}

void sandbox_enter(struct sandbox *sandbox)
{
	struct sandbox_layer *layers = sandbox->layers;
	pid_t front = getppid();
	unsigned descriptors;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	descriptors = close_others(sandbox) + sandbox->more_descriptors;
	syscalls_prepare(&layers[SANDBOX_SYSCALLS]);
	namespaces_enter(&layers[SANDBOX_NAMESPACES]);
	root_enter(&layers[SANDBOX_ROOT]);
	drop_privileges(&layers[SANDBOX_PRIVILEGES], front);
	if (SANDBOX_IS_REDUCED)
		layer_set(&layers[SANDBOX_LANDLOCK], false,
			"not in a build with sanitizers or coverage");
	else
		landlock_enter(&layers[SANDBOX_LANDLOCK]);
	set_limits(&layers[SANDBOX_LIMITS], sandbox, descriptors);
	enter_lists(&layers[SANDBOX_SYSCALLS]);
	is_locked_in = !pthread_barrier_init(&all_have_roles, NULL, MAX(sandbox->threads, 1));
	check(is_locked_in);
}

void sandbox_enter_role(enum sandbox_role role)
{
	if (!is_locked_in)
		return;
	if (role == SANDBOX_LOOP && !SANDBOX_IS_REDUCED)
		limit(RLIMIT_NPROC, 0);
	if (has_lists && !syscalls_enter(role)) {
		host_log(LOG_ERROR,
			"a thread could not be locked in: its list of system calls was refused");
		_exit(LODGE_EXIT_FAULT);
	}
	pthread_barrier_wait(&all_have_roles);
}

void sandbox_report(void)
{
	static const char *const names[SANDBOX_LAYERS] = {
		[SANDBOX_PRIVILEGES] = "privileges",
		[SANDBOX_NAMESPACES] = "namespaces",
		[SANDBOX_ROOT] = "root",
		[SANDBOX_LANDLOCK] = "landlock",
		[SANDBOX_LIMITS] = "limits",
		[SANDBOX_SYSCALLS] = "syscalls",
	};
	static const int kept[] = {STDOUT_FILENO, STDERR_FILENO};
	static struct sandbox sandbox = {.descriptors = kept,
		.descriptor_count = ARRAY_SIZE(kept),
		.unbounded_count = ARRAY_SIZE(kept)};
	char lines[SANDBOX_LAYERS * 200];
	size_t length = 0;

	sandbox_enter(&sandbox);
	for (unsigned i = 0; i < SANDBOX_LAYERS; i++)
		length += (size_t)snprintf(lines + length, sizeof(lines) - length, "%s %d %s\n",
			names[i], sandbox.layers[i].is_there, sandbox.layers[i].text);
	ssize_t written = write(STDOUT_FILENO, lines, length);
	(void)written;
}
