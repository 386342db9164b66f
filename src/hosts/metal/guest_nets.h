/* SPDX-License-Identifier: MIT */
/* A guest's network cards: ports of the one switch that all guests have (backend/switch.h). */
#ifndef HOSTS_METAL_GUEST_NETS_H
#define HOSTS_METAL_GUEST_NETS_H

#include "boards/pc.h"
#include "control/config.h"
#include "hosts/metal/backend/switch.h"

struct guest_nets {
	struct switch_port ports[PC_NETS_MAX]; /* the switch's, for good once they are added */
	struct pc_net boards[PC_NETS_MAX];     /* for the board */
	unsigned count;
};

/*
 * nets is zeroed, and stays where it is; before any guest runs. changed is raised when guest_nets_run is to be called. What was added
 * before a failure stays in the switch, and is never heard of.
 */
enum status guest_nets_open(struct guest_nets *nets, const struct machine_config *config,
	struct host_signal *changed, struct error *error) must_use;
/* With the machine's lock held. When to call again without having been told: host time, or TIME_NEVER. */
u64 guest_nets_run(struct guest_nets *nets);

#endif
