/* SPDX-License-Identifier: MIT */
/* --perf-map: the file where perf looks for names of code that has no file, /tmp/perf-PID.map. */
#ifndef CONTROL_LINUX_PERF_MAP_H
#define CONTROL_LINUX_PERF_MAP_H

#include <sys/types.h>

#include "base/status.h"

/* Makes it, for appending; under another name as long as there is no runner. */
enum status perf_map_open(int *fd, struct error *error) must_use;
/* Gives it its name. Negative: there will be no runner. Does nothing where none is open. */
void perf_map_belongs_to(pid_t runner);

#endif
