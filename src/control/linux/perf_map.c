/* SPDX-License-Identifier: MIT */
#include "control/linux/perf_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/linux/message.h"

static char made[] = "/tmp/perf-lodge-XXXXXX";
static bool is_open;

enum status perf_map_open(int *fd, struct error *error)
{
	int opened = mkostemp(made, O_APPEND | O_CLOEXEC);

	if (opened < 0)
		return error_set_errno(error, "--perf-map: /tmp");
	is_open = true;
	*fd = opened;
	return STATUS_OK;
}

void perf_map_belongs_to(pid_t runner)
{
	char name[64];

	if (!is_open)
		return;
	is_open = false;
	snprintf(name, sizeof(name), "/tmp/perf-%d.map", (int)runner);
	/* Takes the place of what an earlier process of that number left, and follows no link. */
	if (runner < 0 || rename(made, name)) {
		unlink(made);
		if (runner > 0)
			message_fail(0, "warning: --perf-map: %s: %s", name, strerror(errno));
	}
}
