/* SPDX-License-Identifier: MIT */
/*
 * The Unix sockets of `--vsock PATH`: whoever connects to PATH is handed to the runner, and for a guest that wants the host's port P
 * PATH_P is connected to. The runner names ports, never paths.
 */
#ifndef CONTROL_LINUX_VSOCK_SOCKET_H
#define CONTROL_LINUX_VSOCK_SOCKET_H

#include "control/config.h"
#include "control/linux/loop.h"

/* Opens config->vsock, if it is given, and fills config->vsock_fd, the runner's end. */
enum status vsock_socket_open(struct machine_config *config, struct error *error) must_use;
void vsock_socket_prepare(struct loop *loop);
/* Takes PATH away, if it was made here. */
void vsock_socket_close(void);

#endif
