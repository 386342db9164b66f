/* SPDX-License-Identifier: MIT */
/* `lodge run`: from a description to a running machine's process, and to its end. */
#ifndef CONTROL_LINUX_LAUNCH_H
#define CONTROL_LINUX_LAUNCH_H

#include "control/config.h"

/* config is checked. Runs the machine to its end; says what goes wrong; returns the exit status. */
int launch_run(struct machine_config *config);

#endif
