/* SPDX-License-Identifier: MIT */
/* Options of the commands that have few; those of lodge run are in config.def. */
#ifndef CONTROL_LINUX_OPTIONS_H
#define CONTROL_LINUX_OPTIONS_H

#include "base/status.h"
#include "base/types.h"

#define OPTIONS_MAX 4

/* A list of them ends with a name of NULL. */
struct option_row {
	const char *name;     /* without -- */
	const char *argument; /* NULL: it takes none */
	const char *help;
};

struct options {
	const char *values
		[OPTIONS_MAX]; /* as in the list; NULL: not given; "" for one without argument */
	char **names;	       /* the words that are no options */
	unsigned name_count;
};

/* STATUS_INVALID with a line for people. names are argv's own places. least and most: how many of them the command wants. */
enum status options_read(const char *command, const struct option_row *rows, int argc, char **argv,
	unsigned least, unsigned most, struct options *options, struct error *error) must_use;

#endif
