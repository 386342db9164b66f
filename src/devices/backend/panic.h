/* SPDX-License-Identifier: MIT */
/* Who is told that the guest's kernel panicked. */
#ifndef DEVICES_BACKEND_PANIC_H
#define DEVICES_BACKEND_PANIC_H

#include "base/types.h"

/* Bits of the pvpanic port. */
enum panic_event {
	PANIC_STOPPED = 1 << 0, /* the guest stands, or resets itself */
	PANIC_DUMPING = 1 << 1, /* its crash kernel takes over */
};

struct panic_backend {
	/* An event that the guest had not told since its reset. With the machine's lock held; does not block. NULL: nobody is told. */
	void (*tell)(void *context, enum panic_event event);
	void *context;
};

#endif
