/* SPDX-License-Identifier: MIT */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hosts/linux/sandbox/layers.h"

#define FILTER_WORDS_MAX 1024 /* ten times what the largest list takes; checked */

/* What the C library's threads are cloned with. */
#define THREAD_FLAGS                                                                        \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | \
		CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

enum {
	STARTUP = 1 << SANDBOX_STARTUP,
	LOOP = 1 << SANDBOX_LOOP,
	VCPU = 1 << SANDBOX_VCPU,
	CONSOLE = 1 << SANDBOX_CONSOLE,
	GDB = 1 << SANDBOX_GDB,
	DISK = 1 << SANDBOX_DISK,
	NET = 1 << SANDBOX_NET,
	VSOCK = 1 << SANDBOX_VSOCK,
	VHOST = 1 << SANDBOX_VHOST,
	EVERY = STARTUP | LOOP | VCPU | CONSOLE | GDB | DISK | NET | VSOCK | VHOST,
};

#define CONDITIONS_MAX 2

struct row {
	int call;
	u32 roles, action;
	struct scmp_arg_cmp conditions[CONDITIONS_MAX]; /* as many as have an operation */
};

#define EQUALS(argument, value)                 \
	{                                       \
		argument, SCMP_CMP_EQ, value, 0 \
	}
#define LACKS(argument, bits)                         \
	{                                             \
		argument, SCMP_CMP_MASKED_EQ, bits, 0 \
	}
#define HAS(argument, bits)                              \
	{                                                \
		argument, SCMP_CMP_MASKED_EQ, bits, bits \
	}

static const struct row rows[] = {
#define CALL(name, in, why) {SCMP_SYS(name), in, SCMP_ACT_ALLOW, {{0}}},
#define CALL_IF(name, in, why, ...) {SCMP_SYS(name), in, SCMP_ACT_ALLOW, {__VA_ARGS__}},
#define ABSENT(name, in, why) {SCMP_SYS(name), in, SCMP_ACT_ERRNO(ENOSYS), {{0}}},
#define DENIED(name)
#include "hosts/linux/sandbox/syscalls.def"
#undef CALL
#undef CALL_IF
#undef ABSENT
#undef DENIED
};

static const int denied[] = {
#define CALL(name, in, why)
#define CALL_IF(name, in, why, ...)
#define ABSENT(name, in, why)
#define DENIED(name) SCMP_SYS(name),
#include "hosts/linux/sandbox/syscalls.def"
};

static struct filter {
	struct sock_filter words[FILTER_WORDS_MAX];
	unsigned short count; /* 0: there is none */
} filters[SANDBOX_ROLES];

static unsigned count_conditions(const struct row *row)
{
	unsigned count = 0;

	while (count < CONDITIONS_MAX && row->conditions[count].op)
		count++;
	return count;
}

static int add_rows(scmp_filter_ctx context, enum sandbox_role role)
{
	/* Every other role's list works on top of STARTUP's, which so allows all that any of them does. */
	u32 wanted = role == SANDBOX_STARTUP ? EVERY : 1u << role;
	int failure = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows) && !failure; i++) {
		const struct row *row = &rows[i];
		if (row->roles & wanted)
			failure = seccomp_rule_add_array(context, row->action, row->call,
				count_conditions(row), row->conditions);
	}
	return failure;
}

static int add_denied(scmp_filter_ctx context)
{
	int failure = 0;

	for (size_t i = 0; i < ARRAY_SIZE(denied) && !failure; i++)
		failure =
			seccomp_rule_add_array(context, SCMP_ACT_ERRNO(EPERM), denied[i], 0, NULL);
	return failure;
}

/* Reads the program back out of the descriptor that libseccomp has written it to. */
static int export_filter(scmp_filter_ctx context, struct filter *filter)
{
	int fd = memfd_create("filter", MFD_CLOEXEC);
	int failure = fd < 0 ? -errno : seccomp_export_bpf(context, fd);
	ssize_t got = failure ? 0 : pread(fd, filter->words, sizeof(filter->words), 0);

	close(fd);
	if (failure)
		return failure;
	if (got <= 0 || got == sizeof(filter->words))
		return -E2BIG;
	filter->count = (unsigned short)((size_t)got / sizeof(filter->words[0]));
	return 0;
}

static int make_filter(enum sandbox_role role)
{
	scmp_filter_ctx context =
		seccomp_init(SANDBOX_IS_REDUCED ? SCMP_ACT_ALLOW : SCMP_ACT_KILL_PROCESS);
	int failure;

	if (!context)
		return -EOPNOTSUPP; /* no memory, or a kernel before 4.14 */
	/* 32-bit and x32 calls have other numbers. */
	failure = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!failure)
		failure = SANDBOX_IS_REDUCED ? add_denied(context) : add_rows(context, role);
	if (!failure)
		failure = export_filter(context, &filters[role]);
	seccomp_release(context);
	return failure;
}

void syscalls_prepare(struct sandbox_layer *layer)
{
	int failure = 0;

	for (unsigned role = 0; role < SANDBOX_ROLES && !failure; role++) {
		if (role == SANDBOX_STARTUP || !SANDBOX_IS_REDUCED)
			failure = make_filter(role);
	}
	layer_set(layer, !failure, "%s", failure ? strerror(-failure) : "");
}

bool syscalls_enter(enum sandbox_role role)
{
	const struct filter *filter = &filters[role];
	struct sock_fprog program = {
		.len = filter->count, .filter = (struct sock_filter *)filter->words};

	if (!filter->count)
		return SANDBOX_IS_REDUCED;
	/*
	 * Without SPEC_ALLOW kernels before 5.16 switch off speculative stores with the list, which costs much and keeps
	 * only what is not promised: this process holds one guest.
	 */
	return !syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		       &program) ||
		(errno == EINVAL && !syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}
