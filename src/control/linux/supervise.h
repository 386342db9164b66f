/* SPDX-License-Identifier: MIT */
/* A machine's front, from the runner's start to its end: on this terminal, or in the background. */
#ifndef CONTROL_LINUX_SUPERVISE_H
#define CONTROL_LINUX_SUPERVISE_H

#include "control/linux/registry.h"

/* What launch.c has prepared. */
struct supervised {
	struct machine_config *config;
	struct claim claim;
	int description; /* of the runner's, in a memfd */
	int ready;	 /* gets a byte when the guest is loaded; -1: not asked for */
};

/* Both run it to its end, say what goes wrong, and return the exit status. */
int supervise_here(struct supervised *supervised);
/* In a process of its own; this one returns once the guest is loaded, or it cannot be. */
int supervise_detached(struct supervised *supervised);

#endif
