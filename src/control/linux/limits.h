/* SPDX-License-Identifier: MIT */
/*
 * What a machine may take of the host: --cpu-weight, --cpu-limit, --memory-limit. By cgroup v2 where this process may have a group: LODGE_CGROUP, its own
 * group if that passes the controllers on, or a scope that systemd makes. Elsewhere the weight is a nice value, the limit on processor time is kept by
 * stopping and continuing the runner, and a limit on memory is refused.
 */
#ifndef CONTROL_LINUX_LIMITS_H
#define CONTROL_LINUX_LIMITS_H

#include "control/config.h"
#include "control/linux/loop.h"

/* Before the runner starts. STATUS_UNSUPPORTED: one of them is not to be had here. */
enum status limits_open(const struct machine_config *config, struct error *error) must_use;
/* In the runner's process, before it is the runner. 0, or an errno: a runner outside its group would be one without limits. */
int limits_enter(void);
/* It runs. */
enum status limits_apply(struct error *error) must_use;
void limits_prepare(struct loop *loop);
/* It has ended. */
void limits_close(void);

/* For lodge doctor: how. True: by cgroups, all of them. */
bool limits_describe(char *text, size_t bytes);

#endif
