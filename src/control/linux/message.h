/* SPDX-License-Identifier: MIT */
/* lodge's own words to people: single lines on stderr, each beginning "lodge: ". */
#ifndef CONTROL_LINUX_MESSAGE_H
#define CONTROL_LINUX_MESSAGE_H

#include "base/status.h"
#include "base/types.h"

/* Prints the line and returns `exit_status`, so that a caller can return it. */
int message_fail(int exit_status, const char *format, ...) format_like(2, 3);

/* The exit status of a failure: 2 for what should have been written otherwise, 1 for what could not be done. */
int message_fail_status(enum status status, const struct error *error);

/* "FILE: what errno says" into error; returns STATUS_IO. */
enum status error_set_errno(struct error *error, const char *what);

#endif
