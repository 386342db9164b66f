/* SPDX-License-Identifier: MIT */
/* `--share DIR`: a virtiofsd that serves the folder; it ends when the last who has its socket does. */
#ifndef CONTROL_LINUX_SHARE_H
#define CONTROL_LINUX_SHARE_H

#include "control/config.h"

/* Starts one, if config->share is given, and fills config->share_fd. */
enum status share_start(struct machine_config *config, struct error *error) must_use;

#endif
