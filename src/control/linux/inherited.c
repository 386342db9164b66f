/* SPDX-License-Identifier: MIT */
#include "control/linux/inherited.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/types.h"

#define REMEMBERED_MAX 256

static int remembered[REMEMBERED_MAX];
static unsigned count;

/* Without /proc none is known, and none is closed. */
void inherited_remember(void)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;

	while (folder && (entry = readdir(folder)) && count < REMEMBERED_MAX) {
		int fd = atoi(entry->d_name);

		if (fd > 2 && fd != dirfd(folder))
			remembered[count++] = fd;
	}
	if (folder)
		closedir(folder);
}

void inherited_close(void)
{
	for (unsigned i = 0; i < count; i++)
		close(remembered[i]);
}
