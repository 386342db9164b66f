/* SPDX-License-Identifier: MIT */
/* A guest's disks: files of the bundle, in memory (backend/ram_disk.h). */
#ifndef HOSTS_METAL_GUEST_DISKS_H
#define HOSTS_METAL_GUEST_DISKS_H

#include "boards/pc.h"
#include "control/config.h"
#include "control/disk.h"
#include "hosts/metal/backend/ram_disk.h"
#include "hosts/metal/bundle.h"

struct guest_disks {
	struct ram_disk disks[PC_DISKS_MAX];
	char serials[PC_DISKS_MAX][DISK_SERIAL_BYTES + 1];
	struct pc_disk boards[PC_DISKS_MAX]; /* for the board */
	unsigned count;
	struct disk_option option; /* the one being opened: too large for a stack */
};

/* disks is zeroed. After a failure guest_disks_close is owed as after success. */
enum status guest_disks_open(struct guest_disks *disks, const struct machine_config *config,
	const struct bundle *bundle, struct error *error) must_use;
void guest_disks_close(struct guest_disks *disks);

#endif
