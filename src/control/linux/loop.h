/* SPDX-License-Identifier: MIT */
/* What a front waits for: asked anew each time, so that nothing has to be kept in step. */
#ifndef CONTROL_LINUX_LOOP_H
#define CONTROL_LINUX_LOOP_H

#include <poll.h>

#include "base/types.h"

#define LOOP_SOURCES_MAX 64

struct loop {
	struct pollfd polled[LOOP_SOURCES_MAX];
	struct {
		void (*ready)(void *context, short events);
		void *context;
	} sources[LOOP_SOURCES_MAX];
	unsigned count;
	u64 wake_ns; /* loop_now_ns */
};

u64 loop_now_ns(void);

void loop_begin(struct loop *loop);
/* fd below 0: nothing. */
void loop_add(struct loop *loop, int fd, short events, void (*ready)(void *context, short events),
	void *context);
void loop_wake_at(struct loop *loop, u64 ns);
/* Waits, and calls those that are ready. */
void loop_wait(struct loop *loop);

#endif
