/* SPDX-License-Identifier: MIT */
/* The machine's first serial port, a 16550 at its usual place. */
#ifndef HOSTS_METAL_CONSOLE_SERIAL_H
#define HOSTS_METAL_CONSOLE_SERIAL_H

#include "base/types.h"

/* 115200 baud, 8 bits, no parity. */
void serial_init(void);
/* Takes its interrupt into use: *arrived is called at each, with interrupts disabled. False: there is none, it is to be polled. */
bool serial_enable_interrupt(void (*arrived)(void));
/* Waits until all is written. From anywhere, panics too. */
void serial_write_now(const u8 *from, size_t bytes);
/* What has arrived; -1: nothing. */
int serial_read(void);

#endif
