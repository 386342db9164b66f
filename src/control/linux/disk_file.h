/* SPDX-License-Identifier: MIT */
/* The files behind disks: opened, looked at, and locked, so that no two machines write one. */
#ifndef CONTROL_LINUX_DISK_FILE_H
#define CONTROL_LINUX_DISK_FILE_H

#include "control/config.h"
#include "control/disk.h"
#include "hosts/linux/qcow2/chain.h"

/* The most descriptors that a machine's disks have. */
#define DISK_DESCRIPTORS_MAX (DISKS_MAX * (1 + DISK_BACKING_MAX))

/* Opens config->disk's files, and fills config->disk_fds. error names the file, and says what to do. */
enum status disk_files_open(struct machine_config *config, struct error *error) must_use;
/* The descriptors of config->disk_fds; returns how many. */
unsigned disk_files_descriptors(const struct machine_config *config, int *fds, unsigned capacity);
/* The first disk's files, not prepared yet. False: there is none, or a server has it. */
bool disk_files_first(const struct machine_config *config, struct chain *chain) must_use;

#endif
