/* SPDX-License-Identifier: MIT */
/* The runner's process: started, watched, signalled, waited for. One at a time. */
#ifndef CONTROL_LINUX_PROCESS_H
#define CONTROL_LINUX_PROCESS_H

#include "control/config.h"

/*
 * Starts lodge-vm with the description, the descriptors that config names, and 0 to 2; closes them here; and waits for its end.
 * The terminal is raw meanwhile, if the machine's console is there. STATUS_OK: it ran, see process_exit_status.
 */
enum status process_run(
	struct machine_config *config, int description, struct error *error) must_use;
/* What lodge is to end with; has told of an end by a signal. */
int process_exit_status(void);

/* Where lodge-vm is: beside lodge, or in ../libexec/lodge. */
enum status process_find_runner(char *path, size_t bytes, struct error *error) must_use;

#endif
