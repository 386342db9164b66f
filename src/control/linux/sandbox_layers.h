/* SPDX-License-Identifier: MIT */
/* What locks a runner in on this host: the runner itself is asked, which tries it on itself. */
#ifndef CONTROL_LINUX_SANDBOX_LAYERS_H
#define CONTROL_LINUX_SANDBOX_LAYERS_H

#include "base/types.h"

#define SANDBOX_LAYERS_MAX 8

struct sandbox_layer_found {
	char name[24];
	bool is_there;
	char text[200];
};

/* Returns how many it found; 0: the runner did not answer. */
unsigned sandbox_layers_ask(struct sandbox_layer_found found[SANDBOX_LAYERS_MAX]);

#endif
