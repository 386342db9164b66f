/* SPDX-License-Identifier: MIT */
/*
 * What can go wrong in the world outside the guest: a file, an option, the host. Functions that return
 * a status leave their out-parameters as they were unless it is STATUS_OK. Only programs/ and control/
 * print; a description for people comes in a struct error where one line of text is owed.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include "base/types.h"

enum status {
	STATUS_OK,
	STATUS_INVALID,	  /* the input is malformed or out of range */
	STATUS_NO_MEMORY, /* the host or an arena is out of memory */
	STATUS_NOT_FOUND,
	STATUS_UNSUPPORTED, /* well formed, but not something this build or host does */
	STATUS_BUSY,
	STATUS_IO,	/* the host's read, write or map failed */
	STATUS_TOO_BIG, /* does not fit where it should go */
	STATUS_END,	/* no more input */
};

/* One line for people: what is wrong with which thing, and what to do. No newline, no prefix. */
struct error {
	char text[256];
};

/* Sets error->text (cut to fit) when error is not NULL, and returns status, so that a caller can return it. */
enum status error_set(struct error *error, enum status status, const char *format, ...)
	format_like(3, 4);

#endif
