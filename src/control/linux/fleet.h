/* SPDX-License-Identifier: MIT */
/* The commands on machines that are there. Each takes the words behind its name and returns an exit status. */
#ifndef CONTROL_LINUX_FLEET_H
#define CONTROL_LINUX_FLEET_H

#include "control/linux/options.h"

extern const struct option_row list_options[], stats_options[], stop_options[], rm_options[],
	logs_options[];

int command_list(int argc, char **argv);
int command_stats(int argc, char **argv);
int command_stop(int argc, char **argv);
int command_kill(int argc, char **argv);
int command_rm(int argc, char **argv);
int command_logs(int argc, char **argv);
int command_console(int argc, char **argv);

#endif
