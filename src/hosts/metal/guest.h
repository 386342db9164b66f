/* SPDX-License-Identifier: MIT */
/* One guest's life on the bare machine: as hosts/linux/runner.c has it, with threads in place of processes. */
#ifndef HOSTS_METAL_GUEST_H
#define HOSTS_METAL_GUEST_H

#include "control/config.h"
#include "hosts/metal/bundle.h"

struct guest;

/* config is copied; the bundle stays where it is. The guest is loaded, and does not run yet. */
enum status guest_create(const struct machine_config *config, const struct bundle *bundle,
	struct guest **guest, struct error *error) must_use;
enum status guest_start(struct guest *guest, struct error *error) must_use;
/* Until it has ended. */
void guest_wait(struct guest *guest);
/* Did it end as it wanted to? */
bool guest_has_succeeded(const struct guest *guest);

#endif
