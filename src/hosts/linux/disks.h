/* SPDX-License-Identifier: MIT */
/* The machine's disks, from their descriptions to what the board takes. */
#ifndef HOSTS_LINUX_DISKS_H
#define HOSTS_LINUX_DISKS_H

#include "boards/pc.h"
#include "control/config.h"
#include "control/disk.h"

/* The most descriptors that the disks have. */
#define DISKS_DESCRIPTORS_MAX (2 + DISKS_MAX * (1 + DISK_BACKING_MAX)) /* two: the ring's */

/* Opens nothing: takes the descriptors of config.disk_fds. Before the process is locked in. */
enum status disks_open(const struct machine_config *config, struct error *error) must_use;
/* Reads images, which may be hostile: once the process is locked in. error says which disk. */
enum status disks_open_images(struct error *error) must_use;
/* For pc_create. */
const struct pc_disk *disks_get(unsigned *count);
/* The descriptors that stay open; returns how many. */
unsigned disks_descriptors(int *descriptors, unsigned capacity);
/* How long their files may become. */
u64 disks_file_bytes_max(void);
/* The threads that there will be. */
unsigned disks_threads(void);
bool disks_start(struct machine *machine) must_use;
/* Nothing is in flight. */
void disks_finish(void);

#endif
