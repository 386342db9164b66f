/* SPDX-License-Identifier: MIT */
/* The machine's network cards: a stream socket (passt's) or a tap interface each, with a thread that waits for frames. */
#ifndef HOSTS_LINUX_NET_H
#define HOSTS_LINUX_NET_H

#include "boards/pc.h"
#include "control/config.h"

/* Takes the descriptors of config.net_fds. Before the process is locked in. */
enum status nets_open(const struct machine_config *config, struct error *error) must_use;
/* For pc_create, which fills in the devices. */
const struct pc_net *nets_get(unsigned *count);
/* The descriptors that stay open; returns how many. */
unsigned nets_descriptors(int *descriptors, unsigned capacity);
/* The threads that there will be. */
unsigned nets_threads(void);
bool nets_start(struct machine *machine) must_use;
void nets_finish(void);

/* Of a card. */
#define NETS_DESCRIPTORS 2

#endif
