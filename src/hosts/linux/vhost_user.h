/* SPDX-License-Identifier: MIT */
/*
 * The front end of vhost-user: a process at the other end of a socket is given the guest's memory, rings, and eventfds to be woken by.
 * Source: QEMU's documentation, interop/vhost-user.
 */
#ifndef HOSTS_LINUX_VHOST_USER_H
#define HOSTS_LINUX_VHOST_USER_H

#include "base/status.h"
#include "core/host.h"
#include "devices/backend/vhost.h"
#include "hosts/linux/vhost_ring.h"

struct machine;

struct vhost_port {
	struct vhost_backend backend;
	struct vhost_device device; /* set by the board */
	struct machine *machine;
	const char *name; /* for messages: "disk 1" */
	int socket;
	struct vhost_ring *rings; /* backend.queues of them */
	u32 in_flight;		  /* guarded by machine->lock */
	struct host_signal ended; /* something in flight has */
};

struct vhost_user_parameters {
	const char *name;
	int socket, ram;
	u64 ram_bytes;
	u64 features; /* those of the device's type that we know */
	unsigned queues_max;
	unsigned config_bytes; /* to be asked for */
};

/* port is zeroed. Says hello, and sets everything up; before the process is locked in. */
enum status vhost_user_open(struct vhost_port *port, const struct vhost_user_parameters *parameters,
	struct error *error) must_use;
/* The process has done something in that queue. With machine->lock held. */
void vhost_user_called(struct vhost_port *port, unsigned queue);
/* Nothing more is expected of it, nor given to it. With machine->lock held. */
void vhost_user_give_up(struct vhost_port *port, const char *why);

#endif
