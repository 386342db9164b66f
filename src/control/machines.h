/* SPDX-License-Identifier: MIT */
/*
 * Several machine descriptions in one file: {"machines": [{...}, ...]}, each as config_read takes it (audience: user) and with a name
 * of its own. One that is wrong does not hide those behind it. Freestanding.
 */
#ifndef CONTROL_MACHINES_H
#define CONTROL_MACHINES_H

#include "control/config.h"

#define MACHINES_MAX 32

struct machines {
	const char *json;
	size_t bytes, at;
	unsigned line;	/* at `at`, from 1 */
	unsigned count; /* seen so far */
	bool ended;	/* nothing more can be read */
	char names[MACHINES_MAX][sizeof(((struct machine_config *)0)->name)];
};

/* Does it look like such a file, rather than one description? */
bool machines_is_list(const char *json, size_t bytes) must_use;
/* json stays in place while the list is walked. */
enum status machines_open(
	struct machines *machines, const char *json, size_t bytes, struct error *error) must_use;
/*
 * The next one, over the defaults. STATUS_END: no more. Anything else is told in the error with its line; the walk can go on, and ends
 * where the text itself cannot be followed.
 */
enum status machines_next(
	struct machines *machines, struct machine_config *config, struct error *error) must_use;

#endif
