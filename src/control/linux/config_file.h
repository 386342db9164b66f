/* SPDX-License-Identifier: MIT */
/* Machine descriptions in files: what --config reads and `lodge check-config` looks at. */
#ifndef CONTROL_LINUX_CONFIG_FILE_H
#define CONTROL_LINUX_CONFIG_FILE_H

#include "control/config.h"

/* Reads a description over what config holds; the error begins with --config and the path. */
enum status config_file_read(
	const char *path, struct machine_config *config, struct error *error) must_use;
int command_check_config(int argc, char **argv);

#endif
