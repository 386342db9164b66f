/* SPDX-License-Identifier: MIT */
/*
 * What other lodge commands ask of a machine's front, over the socket `control` in its folder: one line each way. `stop MS` and `kill` are
 * answered when the machine has ended and its name is free: `ended STATUS FORCED`. `stats` is answered at once: `CPU_NS MEMORY_BYTES`.
 */
#ifndef CONTROL_LINUX_CONTROL_H
#define CONTROL_LINUX_CONTROL_H

#include "control/linux/loop.h"
#include "control/linux/registry.h"

#define CONTROL_LINE_BYTES 64

/* The front's side. Without a folder nothing. */
enum status control_open(const struct claim *claim, struct error *error) must_use;
void control_prepare(struct loop *loop);
/* After the machine's end is on record, and its claim released. */
void control_close(int exit_status);

/*
 * The other side: asks, and waits that long for the answer, a line without its end. STATUS_NOT_FOUND: no front listens; STATUS_BUSY: it did not
 * answer in time; STATUS_END: it went away.
 */
enum status control_ask(
	int folder, const char *line, u64 patience_ms, char answer[CONTROL_LINE_BYTES]) must_use;
/* The front's process id, as the kernel knows it; 0: nobody listens. */
int control_peer(int folder);

/* A socket by its name in a machine's folder, whatever the length of its path. -1, with errno. */
int control_listen(int folder, const char *name);
int control_connect(int folder, const char *name);

#endif
