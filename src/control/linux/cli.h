/* SPDX-License-Identifier: MIT */
/* The command line: what people may ask of lodge, and what it says when they ask for something else. */
#ifndef CONTROL_LINUX_CLI_H
#define CONTROL_LINUX_CLI_H

#include "control/linux/options.h"

#define LODGE_VERSION "0.1.0"

/* What the words behind a command are: for the shell's completion. */
enum command_argument { ARGUMENT_NONE, ARGUMENT_RUNNING, ARGUMENT_ANY, ARGUMENT_COMMAND };

/* The help, the man pages and the completion are all made from these. */
struct command {
	const char *name, *arguments;
	const char *help;  /* a line */
	const char *about; /* paragraphs, each ended by a line feed but the last; NULL: none */
	const struct option_row *options;
	int (*run)(int argc, char **argv); /* the words behind its name; returns the exit status */
	enum command_argument argument;
};

extern const struct command commands[];
extern const unsigned command_count;

const struct command *command_find(const char *name); /* NULL: there is none */
int command_fail_unknown(const char *name);

/* Does what argv says; returns the exit status. */
int cli_main(int argc, char **argv);

/* `lodge help [COMMAND]`, on stdout. NULL: of everything. */
int cli_help(const char *command);
/* The same as a man page. */
int help_man(const char *command);

#endif
