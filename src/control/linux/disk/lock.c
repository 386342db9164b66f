/* SPDX-License-Identifier: MIT */
#include "control/linux/disk/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

/*
 * QEMU's protocol (its block/file-posix.c): a byte for each thing that one does with an image, and one for each that one does not bear of
 * others. All locks are shared ones; who has his looks whether somebody has a byte that contradicts it.
 */
enum lock_byte {
	DOES = 100,
	DOES_NOT_BEAR = 200,
};

enum deed { READS = 0, WRITES = 1, RESIZES = 3 };

static enum status fail(struct error *error)
{
	return error_set(error, STATUS_IO, "it cannot be locked: %s", strerror(errno));
}

static bool take(int fd, off_t byte)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return !fcntl(fd, F_OFD_SETLK, &lock);
}

/* Would an exclusive lock be refused? Then another open file has the byte. */
static bool is_taken(int fd, off_t byte, bool *taken)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	if (fcntl(fd, F_OFD_GETLK, &lock))
		return false;
	*taken = lock.l_type != F_UNLCK;
	return true;
}

/*
 * A machine that has just ended may hold its disk a moment longer: the kernel lets go of an io_uring's files after the process is gone.
 */
static bool wait_until_free(int fd, off_t byte, bool *taken)
{
	const struct timespec moment = {.tv_nsec = 20 * 1000 * 1000};

	for (unsigned tries = 50; tries > 0; tries--) {
		if (!is_taken(fd, byte, taken))
			return false;
		if (!*taken)
			return true;
		nanosleep(&moment, NULL);
	}
	return true;
}

enum status disk_lock(int fd, bool is_writable, struct error *error)
{
	static const enum deed writer[] = {READS, WRITES, RESIZES},
			       never_borne[] = {WRITES, RESIZES};
	unsigned deeds = is_writable ? ARRAY_SIZE(writer) : 1;

	for (unsigned i = 0; i < deeds; i++) {
		if (!take(fd, DOES + writer[i]))
			return fail(error);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(never_borne); i++) {
		if (!take(fd, DOES_NOT_BEAR + never_borne[i]))
			return fail(error);
	}
	for (unsigned i = 0; i < deeds + ARRAY_SIZE(never_borne); i++) {
		off_t byte = i < deeds ? DOES_NOT_BEAR + writer[i] : DOES + never_borne[i - deeds];
		bool taken;

		if (!wait_until_free(fd, byte, &taken))
			return fail(error);
		if (taken)
			return error_set(error, STATUS_BUSY,
				"in use by another machine or program; stop that one, or give both the "
				"disk with ,ro");
	}
	return STATUS_OK;
}
