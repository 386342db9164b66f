/* SPDX-License-Identifier: MIT */
/*
 * The runner locks itself in: what a guest that has taken it over could still ask the host's kernel for. Layers that do not depend on
 * each other; where a host lacks one, the others hold (docs/threat-model.md).
 */
#ifndef HOSTS_LINUX_SANDBOX_SANDBOX_H
#define HOSTS_LINUX_SANDBOX_SANDBOX_H

#include "base/types.h"

/* What a thread is for; syscalls.def says which system calls each makes. */
enum sandbox_role {
	SANDBOX_STARTUP, /* the first thread until it enters its loop: loads the guest, starts the others */
	SANDBOX_LOOP,
	SANDBOX_VCPU,
	SANDBOX_CONSOLE,
	SANDBOX_GDB,
	SANDBOX_DISK,
	SANDBOX_NET,
	SANDBOX_VSOCK,
	SANDBOX_VHOST,
	SANDBOX_ROLES,
};

enum sandbox_layer_name {
	SANDBOX_PRIVILEGES,
	SANDBOX_NAMESPACES,
	SANDBOX_ROOT,
	SANDBOX_LANDLOCK,
	SANDBOX_LIMITS,
	SANDBOX_SYSCALLS,
	SANDBOX_LAYERS,
};

struct sandbox_layer {
	bool is_there;
	char text[160]; /* what it is here, or why it is not */
};

struct sandbox {
	/* In: the descriptors that stay open, -1 for none; all others are closed. */
	const int *descriptors;
	unsigned descriptor_count;
	unsigned unbounded_count;  /* the first so many of them may be files of any length */
	unsigned more_descriptors; /* that may be open later, beside these */
	u64 file_bytes_max;	   /* how long the other files may become: 0, none is written */
	unsigned threads;	   /* all that there will be, this one included */
	/* Out. */
	struct sandbox_layer layers[SANDBOX_LAYERS];
};

/*
 * From now on the process is locked in, and its only thread has the role SANDBOX_STARTUP. Before other threads; once. A layer that is not
 * to be had is in layers[], and no failure.
 */
void sandbox_enter(struct sandbox *sandbox);

/*
 * For good: this thread has that role. Returns once all threads have theirs, so that no guest code runs beside one that has more than it
 * needs. The loop's: no thread starts any more. Does nothing where sandbox_enter was not called.
 */
void sandbox_enter_role(enum sandbox_role role);

/* For `lodge doctor`: locks this process in, and writes "NAME 0|1 TEXT" for each layer to descriptor 1. */
void sandbox_report(void);

#endif
