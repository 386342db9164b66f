/* SPDX-License-Identifier: MIT */
/*
 * What a character device asks of the outside: somewhere to put bytes, and notice when there are bytes to take.
 *
 * Output: write takes what it can and says how much; it must not block. When it took less, the place calls writable (with machine->lock held) once
 * there is room again. Input: the place offers bytes with the device's own receive function, which says how many it took;
 * when it took less, the device calls resume_input once it has room.
 */
#ifndef DEVICES_BACKEND_CONSOLE_H
#define DEVICES_BACKEND_CONSOLE_H

#include "base/types.h"

struct console_backend {
	size_t (*write)(void *context, const u8 *from, size_t bytes);
	void (*resume_input)(void *context);
	void *context;
};

/* What the device gives to the place. All with machine->lock held. */
struct console_device {
	size_t (*receive)(void *device, const u8 *from, size_t bytes);
	void (*writable)(void *device);
	void *device;
};

#endif
