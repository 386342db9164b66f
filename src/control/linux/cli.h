/* SPDX-License-Identifier: MIT */
/* The command line: what people may ask of lodge, and what it says when they ask for something else. */
#ifndef CONTROL_LINUX_CLI_H
#define CONTROL_LINUX_CLI_H

#define LODGE_VERSION "0.1.0"

/* Does what argv says; returns the exit status. */
int cli_main(int argc, char **argv);

/* `lodge help [COMMAND]`, on stdout. NULL: of everything. */
int cli_help(const char *command);

#endif
