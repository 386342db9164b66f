/* SPDX-License-Identifier: MIT */
/* `lodge doctor`: what this host can do, which engines it can run, what is missing, and how to get it. */
#ifndef CONTROL_LINUX_DOCTOR_H
#define CONTROL_LINUX_DOCTOR_H

#include <stdbool.h>

/* To stdout. Exit status 0 if a machine can be run here, else 1. */
int doctor_run(bool as_json);

#endif
