/* SPDX-License-Identifier: MIT */
/* gdb on a listening socket: a thread that serves one connection after the other (control/gdb.h has the protocol). */
#ifndef HOSTS_LINUX_GDB_SERVER_H
#define HOSTS_LINUX_GDB_SERVER_H

#include "base/types.h"

struct machine;

/*
 * Starts the thread, and asks for a pause, so that the machine, whose vCPU threads are started next, stands before its first
 * instruction until gdb says go. False: no thread or no descriptor.
 */
bool gdb_server_start(struct machine *machine, int listener) must_use;
/* The machine has ended, lodge will with this status: gdb is told. Does nothing where no thread was started. */
void gdb_server_end(int status);

#endif
