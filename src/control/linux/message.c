/* SPDX-License-Identifier: MIT */
#include "control/linux/message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hosts/linux/runner.h"

/* What people gave may hold anything; a line stays a line. */
static void print_line(const char *text)
{
	char line[1040];
	int length = snprintf(line, sizeof(line) - 1, "lodge: %s", text);

	length = MIN(length, (int)sizeof(line) - 2);
	for (int i = 0; i < length; i++)
		line[i] = (unsigned char)line[i] < 0x20 || line[i] == 0x7f ? '?' : line[i];
	line[length++] = '\n';
	/* In one piece, whoever else writes there. */
	fflush(stderr);
	if (write(STDERR_FILENO, line, (size_t)length) < 0)
		errno = 0;
}

int message_fail(int exit_status, const char *format, ...)
{
	char line[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	print_line(line);
	return exit_status;
}

int message_fail_status(enum status status, const struct error *error)
{
	print_line(error->text);
	return status == STATUS_INVALID ? LODGE_EXIT_USAGE : LODGE_EXIT_FAILURE;
}

enum status error_set_errno(struct error *error, const char *what)
{
	return error_set(error, STATUS_IO, "%s: %s", what, strerror(errno));
}
