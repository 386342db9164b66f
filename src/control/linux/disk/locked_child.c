/* SPDX-License-Identifier: MIT */
#include "control/linux/disk/locked_child.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/linux/message.h"
#include "hosts/linux/sandbox/layers.h"

#define MEMORY_BYTES_MAX (4 * GIB) /* kernels and initrds are mapped while they are unpacked */
#define FILE_BYTES_MAX (4 * GIB)   /* of a memory file */
#define SECONDS_MAX 60		   /* of processor time */

struct answer {
	enum status status;
	struct error error;
	unsigned fd_count;
	char text[LOCKED_TEXT_BYTES];
};

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(LOCKED_FDS_MAX * sizeof(int))];
};

/* ---- the child ---- */

static const int allowed[] = {SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(read),
	SCMP_SYS(write), SCMP_SYS(lseek), SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
	SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(sendmsg), SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday), SCMP_SYS(getrandom), SCMP_SYS(futex), SCMP_SYS(getuid),
	SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(exit_group)};

static bool enter_list(void)
{
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_KILL_PROCESS);
	const struct scmp_arg_cmp never_executed = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	int failure = context ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_SIZE(allowed) && !failure; i++)
		failure = seccomp_rule_add(context, SCMP_ACT_ALLOW, allowed[i], 0);
	if (!failure)
		failure = seccomp_rule_add(
			context, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, never_executed);
	if (!failure)
		failure = seccomp_rule_add(
			context, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, never_executed);
	for (int command = F_ADD_SEALS; command <= F_GET_SEALS && !failure; command++)
		failure = seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
			SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)command, 0));
	if (!failure)
		failure = seccomp_load(context);
	seccomp_release(context);
	return !failure;
}

static void set_limits(void)
{
	const struct {
		int what;
		rlim_t most;
	} limits[] = {
		{RLIMIT_CORE, 0},
		{RLIMIT_CPU, SECONDS_MAX},
		{RLIMIT_AS, MEMORY_BYTES_MAX},
		{RLIMIT_FSIZE, FILE_BYTES_MAX},
	};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct rlimit value = {limits[i].most, limits[i].most};
		(void)!setrlimit(limits[i].what, &value);
	}
}

/* The lowest of those that stay, from `from` on; -1: none. */
static int next_kept(int socket, const int *given, unsigned count, int from)
{
	int lowest = socket >= from ? socket : -1;

	for (unsigned i = 0; i < count; i++) {
		if (given[i] >= from && (lowest < 0 || given[i] < lowest))
			lowest = given[i];
	}
	return lowest;
}

static void close_others(int socket, const int *given, unsigned count)
{
	/* Sanitizers have something to say. */
	int from = SANDBOX_IS_REDUCED ? STDERR_FILENO + 1 : 0, kept;

	while ((kept = next_kept(socket, given, count, from)) >= 0) {
		if (kept > from)
			close_range((unsigned)from, (unsigned)kept - 1, 0);
		from = kept + 1;
	}
	close_range((unsigned)from, ~0u, 0);
}

/* What is to be had of it: the child is one more wall, not the only one. The list of system calls must hold. */
static bool lock_in(void)
{
	struct sandbox_layer layer;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (SANDBOX_IS_REDUCED)
		return true;
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	landlock_enter(&layer);
	set_limits();
	return enter_list();
}

static void send_answer(int socket, const struct answer *answer, const struct locked_result *result)
{
	union control control = {{0}};
	struct iovec data = {(void *)answer, sizeof(*answer)};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

	if (answer->fd_count) {
		size_t bytes = answer->fd_count * sizeof(int);

		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(bytes);
		control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(bytes),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.header), result->fds, bytes);
	}
	if (sendmsg(socket, &message, 0) < 0)
		_exit(1);
}

_Noreturn static void run_child(
	enum status (*work)(void *context, struct locked_result *result, struct error *error),
	void *context, int socket)
{
	static struct answer answer;
	static struct locked_result made;

	if (!lock_in())
		answer.status = error_set(&answer.error, STATUS_UNSUPPORTED,
			"the process that reads it cannot be locked in (see lodge doctor)");
	else
		answer.status = work(context, &made, &answer.error);
	answer.fd_count = answer.status == STATUS_OK ? made.fd_count : 0;
	memcpy(answer.text, made.text, sizeof(answer.text));
	send_answer(socket, &answer, &made);
	_exit(0);
}

/* ---- the parent ---- */

static void take_descriptors(struct msghdr *message, struct locked_result *result)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);

	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return;
	result->fd_count = (unsigned)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(result->fds, CMSG_DATA(header), result->fd_count * sizeof(int));
}

/* False: no answer, or one that cannot be. */
static bool receive_answer(int socket, struct answer *answer, struct locked_result *result)
{
	union control control = {{0}};
	struct iovec data = {answer, sizeof(*answer)};
	struct msghdr message = {.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control)};
	ssize_t got;

	do
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		take_descriptors(&message, result);
	if (got != sizeof(*answer) || answer->fd_count != result->fd_count)
		return false;
	answer->error.text[sizeof(answer->error.text) - 1] = 0;
	answer->text[sizeof(answer->text) - 1] = 0;
	memcpy(result->text, answer->text, sizeof(result->text));
	return true;
}

static void close_all(struct locked_result *result)
{
	while (result->fd_count)
		close(result->fds[--result->fd_count]);
}

static enum status take_answer(
	int socket, pid_t child, struct locked_result *result, struct error *error)
{
	static struct answer answer;
	struct locked_result taken = {.fd_count = 0};
	bool is_whole = receive_answer(socket, &answer, &taken);
	int how = 0;

	while (waitpid(child, &how, 0) < 0 && errno == EINTR)
		;
	if (is_whole && answer.status == STATUS_OK) {
		*result = taken;
		return STATUS_OK;
	}
	close_all(&taken);
	if (is_whole)
		return error_set(error, answer.status, "%s", answer.error.text);
	return error_set(error, STATUS_IO,
		"the process that reads it was ended by %s %d: it is damaged, or made to do harm",
		WIFSIGNALED(how) ? "signal" : "status",
		WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
}

enum status locked_child_run(
	enum status (*work)(void *context, struct locked_result *result, struct error *error),
	void *context, const int *given, unsigned given_count, struct locked_result *result,
	struct error *error)
{
	enum status status;
	int ends[2];
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return error_set_errno(error, "a socket");
	child = fork();
	if (!child) {
		close_others(ends[1], given, given_count);
		run_child(work, context, ends[1]);
	}
	close(ends[1]);
	status = child < 0 ? error_set_errno(error, "a process")
			   : take_answer(ends[0], child, result, error);
	close(ends[0]);
	return status;
}
