/* SPDX-License-Identifier: MIT */
/* The hypervisor's own end: what is known of it goes to the console, then everything stands still. */
#ifndef HOSTS_METAL_PANIC_H
#define HOSTS_METAL_PANIC_H

#include "base/types.h"

struct interrupt_frame;

_Noreturn void panic(const char *format, ...) format_like(1, 2);
_Noreturn void panic_exception(const struct interrupt_frame *frame);

#endif
