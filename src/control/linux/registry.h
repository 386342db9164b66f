/* SPDX-License-Identifier: MIT */
/*
 * Who is there: a folder for each machine of this user, in LODGE_RUNTIME_DIR if that is set, else /run/lodge (root),
 * $XDG_RUNTIME_DIR/lodge, or /tmp/lodge-UID where there is no such variable. No process keeps it. The folder has a lock file (.lock), held for moments
 * by whoever makes, removes or looks at all of them; each machine's folder, NAME, has
 *
 *   lock          locked as long as the machine's front lives: the only thing that says so
 *   machine.json  its record: what was asked for, and what became of it (config.def: USER and RECORD); replaced, never changed
 *   control       socket of the front: control.h
 *   console       socket of the front, if detached: console_hub.h; console.log, console.log.1, messages: what it wrote
 *   status        what the runner tells: struct runner_status
 *
 * Every command that looks first puts right what machines that were killed have left.
 */
#ifndef CONTROL_LINUX_REGISTRY_H
#define CONTROL_LINUX_REGISTRY_H

#include "control/config.h"

/* A machine's folder while its front has it. */
struct claim {
	int folder, lock; /* -1: not registered */
};

/*
 * config->name is taken, or, if it is empty, set to one that is free. STATUS_BUSY: there is one that runs. One of that name that has ended is
 * forgotten.
 */
enum status registry_claim(
	struct machine_config *config, struct claim *claim, struct error *error) must_use;
/* Writes the record. */
enum status registry_write(const struct claim *claim, const struct machine_config *config,
	struct error *error) must_use;
/* The machine has ended: nobody finds its sockets any more. Its name is free; with `forget` its folder is gone. */
void registry_release(struct claim *claim, const char *name, bool forget);

/* One that somebody looks at. */
struct registered {
	struct machine_config config;
	bool is_running;
	int folder; /* the caller's to close */
};

/* STATUS_NOT_FOUND: there is none. */
enum status registry_find(
	const char *name, struct registered *registered, struct error *error) must_use;
/* Calls visit for each, by name; it does not keep `registered`, and closes nothing. */
enum status registry_each(void (*visit)(const struct registered *registered, void *context),
	void *context, struct error *error) must_use;
/* STATUS_BUSY: it runs. */
enum status registry_forget(const char *name, struct error *error) must_use;
/* Asked anew: by its folder. */
bool registry_is_running(int folder);

/* Can it be used? */
enum status registry_check(struct error *error) must_use;
/* Where it is, for people. */
const char *registry_path(void);

#endif
