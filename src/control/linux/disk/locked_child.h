/* SPDX-License-Identifier: MIT */
/*
 * Work on what strangers made (a disk's file systems), in a child process that may do nothing but compute, read what it was given and
 * make memory files. Whatever goes wrong in it, the front lives on and says so.
 */
#ifndef CONTROL_LINUX_DISK_LOCKED_CHILD_H
#define CONTROL_LINUX_DISK_LOCKED_CHILD_H

#include "base/status.h"
#include "base/types.h"

#define LOCKED_FDS_MAX 4
#define LOCKED_TEXT_BYTES 2048

/* What the work hands back: memory files, the caller's to close and to distrust, and words. */
struct locked_result {
	int fds[LOCKED_FDS_MAX];
	unsigned fd_count;
	char text[LOCKED_TEXT_BYTES]; /* ends with a zero */
};

/*
 * Runs work(context) in the child, in which only `given` and what the work opens are open. A child that dies is STATUS_IO. error is the
 * work's own, or says how the child ended.
 */
enum status locked_child_run(
	enum status (*work)(void *context, struct locked_result *result, struct error *error),
	void *context, const int *given, unsigned given_count, struct locked_result *result,
	struct error *error) must_use;

#endif
