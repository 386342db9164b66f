/* SPDX-License-Identifier: MIT */
/*
 * The other ends of the guest's sockets: Unix sockets, which the front opens and hands over, since nothing can be opened here.
 * A client of the host's says `CONNECT port` and a line feed first, and is told `OK port`, as Firecracker's are.
 */
#ifndef HOSTS_LINUX_VSOCK_H
#define HOSTS_LINUX_VSOCK_H

#include "boards/pc.h"
#include "control/config.h"

/* Takes config.vsock_fd. Before the process is locked in. */
enum status vsock_open(const struct machine_config *config, struct error *error) must_use;
/* For pc_create; without a backend where there is no --vsock. */
struct pc_vsock vsock_get(void);
/* The descriptors that stay open; returns how many. */
unsigned vsock_descriptors(int *descriptors, unsigned capacity);
/* Those that may come later, and the threads that there will be. */
unsigned vsock_more_descriptors(void);
unsigned vsock_threads(void);
bool vsock_start(struct machine *machine) must_use;
void vsock_finish(void);

#define VSOCK_DESCRIPTORS 2

#endif
