/* SPDX-License-Identifier: MIT */
#include "control/linux/loop.h"

#include <time.h>

u64 loop_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

void loop_begin(struct loop *loop)
{
	loop->count = 0;
	loop->wake_ns = ~(u64)0;
}

void loop_add(struct loop *loop, int fd, short events, void (*ready)(void *context, short events),
	void *context)
{
	if (fd < 0 || loop->count == LOOP_SOURCES_MAX)
		return;
	loop->polled[loop->count] = (struct pollfd){.fd = fd, .events = events};
	loop->sources[loop->count].ready = ready;
	loop->sources[loop->count++].context = context;
}

void loop_wake_at(struct loop *loop, u64 ns)
{
	loop->wake_ns = MIN(loop->wake_ns, ns);
}

void loop_wait(struct loop *loop)
{
	u64 now = loop_now_ns(), left = loop->wake_ns > now ? loop->wake_ns - now : 0;
	struct timespec patience = {.tv_sec = (time_t)MIN(left / 1000000000, 3600),
		.tv_nsec = (long)(left % 1000000000)};

	if (ppoll(loop->polled, loop->count, &patience, NULL) <= 0)
		return;
	for (unsigned i = 0; i < loop->count; i++) {
		if (loop->polled[i].revents)
			loop->sources[i].ready(loop->sources[i].context, loop->polled[i].revents);
	}
}
