/* SPDX-License-Identifier: MIT */
/* core/host.h's records, to descriptors or to stderr: bounded, and kept in memory until there is much of it. */
#ifndef HOSTS_LINUX_RECORD_H
#define HOSTS_LINUX_RECORD_H

#include "base/status.h"
#include "core/host.h"

struct record_settings {
	int fd;	   /* -1: stderr, each line a message */
	u64 lines; /* at most */
	bool last; /* the last ones, written by records_finish, instead of the first */
};

/* Before the first line, and before the process is locked in. */
enum status record_open(enum host_record record, const struct record_settings *settings,
	struct error *error) must_use;

/* Writes what is still in memory. From any thread, but then for good. */
void records_finish(void);

#endif
