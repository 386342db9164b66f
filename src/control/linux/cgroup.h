/* SPDX-License-Identifier: MIT */
/* Control groups, version 2: Linux' Documentation/admin-guide/cgroup-v2.rst. */
#ifndef CONTROL_LINUX_CGROUP_H
#define CONTROL_LINUX_CGROUP_H

#include "control/config.h"

enum cgroup_kind {
	CGROUP_NONE,
	CGROUP_OWN,	/* below LODGE_CGROUP, or below the group of this process */
	CGROUP_SYSTEMD, /* a transient scope of the user's systemd, or of the system's for root */
};

/* Which one is to be had here. */
enum cgroup_kind cgroup_find(void);

/* CGROUP_OWN: a group of the machine's own, with its limits; to be entered by the runner's process, and removed when that has ended. */
enum status cgroup_create(const struct machine_config *config, struct error *error) must_use;
int cgroup_enter(void); /* 0 or an errno */
void cgroup_destroy(void);

/* CGROUP_SYSTEMD: moves a process into a scope. systemd removes it when the process has ended. */
enum status cgroup_ask_systemd(
	const struct machine_config *config, u32 pid, struct error *error) must_use;

#endif
