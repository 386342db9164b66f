/* SPDX-License-Identifier: MIT */
/* The layers, each in a file of its own; sandbox.c has their order. Each fills what it is given and never fails. */
#ifndef HOSTS_LINUX_SANDBOX_LAYERS_H
#define HOSTS_LINUX_SANDBOX_LAYERS_H

#include "hosts/linux/sandbox/sandbox.h"

/*
 * Sanitizers and coverage open files, start helpers and trace themselves when they report. A build with them (the Makefile says so) keeps
 * its root, gets no Landlock and no limits, and instead of the lists one of what nobody needs. It is for tests, not for strangers.
 */
#ifdef SANDBOX_REDUCED
enum { SANDBOX_IS_REDUCED = 1 };
#else
enum { SANDBOX_IS_REDUCED = 0 };
#endif

/* Sets the layer's text, and whether it is there; returns the latter. */
bool layer_set(struct sandbox_layer *layer, bool is_there, const char *format, ...)
	format_like(3, 4);

/* Own user, mount, net and ipc namespaces: each that the host lets us have. */
void namespaces_enter(struct sandbox_layer *layer);
/* An empty, read-only root. Needs the mount namespace. */
void root_enter(struct sandbox_layer *layer);
/* No file system, no TCP, no signals to others: each as far as the kernel's Landlock goes. */
void landlock_enter(struct sandbox_layer *layer);

/* The lists of all roles, made while memory and descriptors are still to be had. */
void syscalls_prepare(struct sandbox_layer *layer);
/* False, with errno: the kernel does not take it. */
bool syscalls_enter(enum sandbox_role role) must_use;

#endif
