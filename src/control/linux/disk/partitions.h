/* SPDX-License-Identifier: MIT */
/* Where on a disk file systems may lie: GPT (UEFI 2.10, 5.3), and the older table of the master boot record with its logical drives. */
#ifndef CONTROL_LINUX_DISK_PARTITIONS_H
#define CONTROL_LINUX_DISK_PARTITIONS_H

#include "hosts/linux/qcow2/view.h"

#define PARTITIONS_MAX 128

struct partition {
	unsigned number;   /* as Linux counts: vda1 is 1; 0: the whole disk */
	u64 offset, bytes; /* within the disk */
};

/* Returns how many there are; without a table one, the whole disk. What a table says wrongly is passed over. */
unsigned partitions_find(struct disk_view *disk, struct partition found[PARTITIONS_MAX]);

#endif
