/* SPDX-License-Identifier: MIT */
/* What stands behind network cards: passt processes, tap interfaces. */
#ifndef CONTROL_LINUX_NET_START_H
#define CONTROL_LINUX_NET_START_H

#include "control/config.h"

/* Starts what config->net asks for, and fills config->net_fds. What was started ends when the last who has its descriptor does. */
enum status net_start(struct machine_config *config, struct error *error) must_use;
/* The descriptors of config->net_fds; returns how many. */
unsigned net_descriptors(const struct machine_config *config, int *fds, unsigned capacity);

#endif
