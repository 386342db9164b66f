/* SPDX-License-Identifier: MIT */
/* The machine's devices that other processes do the work of, and the thread that hears of what they have done. */
#ifndef HOSTS_LINUX_VHOSTS_H
#define HOSTS_LINUX_VHOSTS_H

#include "boards/pc.h"
#include "control/config.h"

/* All before the process is locked in. A disk; `name` stays. Its socket is blocking. */
enum status vhosts_open_disk(const struct machine_config *config, const char *name, int socket,
	bool is_read_only, struct pc_vhost *vhost, struct error *error) must_use;
/* config.share_fd's; {0} where there is none. */
enum status vhosts_open_share(
	const struct machine_config *config, struct pc_vhost *vhost, struct error *error) must_use;
/* The descriptors that stay open; returns how many. */
unsigned vhosts_descriptors(int *descriptors, unsigned capacity);
unsigned vhosts_threads(void);
bool vhosts_start(struct machine *machine) must_use;
void vhosts_finish(void);

#define VHOSTS_MAX (PC_DISKS_MAX + 1)
/* A socket and two eventfds a queue, each; and one to wake the thread. */
#define VHOSTS_DESCRIPTORS (VHOSTS_MAX * (1 + 2 * VHOST_QUEUES_MAX) + 1)

#endif
