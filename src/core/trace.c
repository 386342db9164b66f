/* SPDX-License-Identifier: MIT */
#include "core/trace.h"
#include "base/text.h"
#include "core/host.h"

#define TRACE_LINES_PER_SITE 20

bool trace_enabled;

void trace_line(struct trace_site *site, const char *format, ...)
{
	u32 count = __atomic_fetch_add(&site->count, 1, __ATOMIC_RELAXED);
	if (count >= TRACE_LINES_PER_SITE)
		return;
	char buffer[200];
	struct text text;
	text_init(&text, buffer, sizeof(buffer));
	va_list arguments;
	va_start(arguments, format);
	text_format_list(&text, format, arguments);
	va_end(arguments);
	if (count == TRACE_LINES_PER_SITE - 1)
		text_append(&text, " (and no more of these)");
	host_log(LOG_TRACE, buffer);
}
