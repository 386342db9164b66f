/* SPDX-License-Identifier: MIT */
/* The front: what people and scripts call. */
#include <fcntl.h>
#include <unistd.h>

#include "control/linux/cli.h"
#include "control/linux/inherited.h"

/* With one of 0 to 2 closed, a machine's memory could become somebody's stdout. */
static void open_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < 3);
	if (fd >= 3)
		close(fd);
}

int main(int argc, char **argv)
{
	inherited_remember();
	open_standard_descriptors();
	return cli_main(argc, argv);
}
