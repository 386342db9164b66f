/* SPDX-License-Identifier: MIT */
/* The listening socket of --gdb: a Unix socket by its path, or a TCP port of this host alone. */
#ifndef CONTROL_LINUX_GDB_SOCKET_H
#define CONTROL_LINUX_GDB_SOCKET_H

#include "base/status.h"

enum status gdb_socket_open(const char *where, int *fd, struct error *error) must_use;
/* Removes a Unix socket that gdb_socket_open made. */
void gdb_socket_close(const char *where);

#endif
