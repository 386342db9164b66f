/* SPDX-License-Identifier: MIT */
/*
 * 16550A UART with FIFOs. Source: National Semiconductor PC16550D data sheet.
 *
 * Bytes take no time on the line. Nothing is lost: what the console cannot take yet waits in the transmit FIFO with THRE down,
 * what the guest has no room for stays with the console.
 */
#ifndef DEVICES_PC_SERIAL16550_H
#define DEVICES_PC_SERIAL16550_H

#include "core/device.h"
#include "core/event.h"
#include "core/irq.h"
#include "devices/backend/console.h"

#define SERIAL_FIFO_BYTES 16

struct serial_fifo {
	u8 bytes[SERIAL_FIFO_BYTES];
	u8 count;
};

struct serial16550 {
	struct device device;
	struct bus_region region;
	struct irq irq;
	struct console_backend backend;
	struct serial_fifo receive, transmit;
	u8 ier, fcr, lcr, mcr, scratch;
	u8 errors;	  /* LSR bits 1-4, cleared by reading it */
	u8 modem_changes; /* MSR bits 3-0, cleared by reading it */
	u8 modem_lines;	  /* MSR bits 7-4 as last seen */
	u16 divisor;
	bool has_refused; /* the console has more: it is to be asked once there is room; not saved */
	bool thre_pending; /* the transmitter-empty interrupt is to be told */
	/* After a FIFO reset the bytes in `receive` are on the line again for a moment: see serial16550.c. */
	struct event arrival;
};

/* Eight ports at base. backend.write NULL: output goes nowhere. */
enum status serial16550_init(struct serial16550 *serial, struct machine *machine, const char *name,
	u16 base, struct irq irq, const struct console_backend *backend) must_use;
struct console_device serial16550_console(struct serial16550 *serial);

#endif
