/* SPDX-License-Identifier: MIT */
/*
 * Rate-limited lines about what a guest did that deserves a word (an unknown MSR, an access nobody claims). A hostile guest
 * cannot flood the log: each call site has a budget.
 */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include "base/types.h"

struct trace_site {
	u32 count;
};

void trace_line(struct trace_site *site, const char *format, ...) format_like(2, 3);

/* At most a few lines a site in a process's life; silent unless tracing is on. */
#define trace(...)                                                 \
	do {                                                       \
		static struct trace_site trace_site_here;          \
		if (unlikely(trace_enabled))                       \
			trace_line(&trace_site_here, __VA_ARGS__); \
	} while (0)

extern bool trace_enabled;

#endif
