/* SPDX-License-Identifier: MIT */
/* Which engines there are, which of them this host can run, and which one `auto` is. */
#ifndef CONTROL_LINUX_ENGINES_H
#define CONTROL_LINUX_ENGINES_H

#include "base/status.h"
#include "base/types.h"

struct engine_choice {
	const char *name;
	const char *summary;
	const char *why; /* auto takes it; NULL: this build does not have it yet */
	enum status (*probe)(struct error *error); /* what it needs of this host; NULL: nothing */
};

extern const struct engine_choice engine_choices[];
extern const unsigned engine_choice_count;

/* Can it be used here? STATUS_UNSUPPORTED with the reason. */
enum status engine_check(const struct engine_choice *choice, struct error *error) must_use;

/* By name, or "auto". STATUS_INVALID: there is none of that name. */
enum status engine_choose(
	const char *name, const struct engine_choice **choice, struct error *error) must_use;

#endif
