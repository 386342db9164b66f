/* SPDX-License-Identifier: MIT */
/*
 * Locks on disk images, the same that QEMU and qemu-img use: one writer, or any number of readers, of whichever program. They are
 * the open file's: whoever inherits the descriptor has them, too, and they go with the last who has it open.
 */
#ifndef CONTROL_LINUX_DISK_LOCK_H
#define CONTROL_LINUX_DISK_LOCK_H

#include "base/status.h"
#include "base/types.h"

/* STATUS_BUSY: somebody uses the file in a way that does not go with ours. error says what is wrong, without the file's name. */
enum status disk_lock(int fd, bool is_writable, struct error *error) must_use;

#endif
