/* SPDX-License-Identifier: MIT */
/*
 * The terminal while a guest has it: raw, so that every key goes to the guest; and always put back as it was, the flags of
 * descriptors 0 to 2 included.
 */
#ifndef CONTROL_LINUX_TERMINAL_H
#define CONTROL_LINUX_TERMINAL_H

#include <stdbool.h>

/* Remembers how everything is; to be called once, first. */
void terminal_remember(void);
/* Raw, if descriptor 0 is a terminal and this process is in its foreground. Again after a stop. */
void terminal_enter_raw(void);
/* As it was. May be called at any time, also from atexit. */
void terminal_restore(void);

#endif
