/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control/linux/image.h"
#include "control/linux/message.h"

enum status memfd_create_sized(const char *what, u64 bytes, int *fd, struct error *error)
{
	int made = memfd_create(what, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (made < 0)
		return error_set_errno(error, what);
	if (ftruncate(made, (off_t)bytes)) {
		error_set_errno(error, what);
		close(made);
		return STATUS_NO_MEMORY;
	}
	*fd = made;
	return STATUS_OK;
}

enum status memfd_seal(int fd, bool contents, struct error *error)
{
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | (contents ? F_SEAL_WRITE : 0);

	if ((fcntl(fd, F_GET_SEALS) & seals) == seals)
		return STATUS_OK;
	if (fcntl(fd, F_ADD_SEALS, seals))
		return error_set_errno(error, "sealing an image");
	return STATUS_OK;
}
