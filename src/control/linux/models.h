/* SPDX-License-Identifier: MIT */
/* Which of the processor models this host can run, and which one `auto` is. */
#ifndef CONTROL_LINUX_MODELS_H
#define CONTROL_LINUX_MODELS_H

#include "base/status.h"
#include "x86/model.h"

/* By name, or "auto". STATUS_INVALID: there is none of that name; STATUS_UNSUPPORTED: not here, with what lacks. */
enum status model_choose(
	const char *name, const struct cpu_model **model, struct error *error) must_use;

/* What lodge itself needs of this processor and is not there, as one line; "" when nothing is missing. */
void model_missing_features(char *names, size_t bytes);

#endif
