/* SPDX-License-Identifier: MIT */
/*
 * 8042 keyboard controller with nothing plugged in: it answers a driver's probe, gates A20 and resets the machine.
 * Source: IBM PS/2 hardware interface technical reference, keyboard and auxiliary device controller.
 */
#ifndef DEVICES_PC_I8042_H
#define DEVICES_PC_I8042_H

#include "core/device.h"
#include "core/irq.h"

#define I8042_RAM_BYTES 32

struct i8042 {
	struct device device;
	struct bus_region regions[2];
	struct irq keyboard_irq, mouse_irq;
	u8 ram[I8042_RAM_BYTES]; /* [0] is the command byte */
	u8 status;		 /* bits 0 (output full), 2, 3, 5, 6 */
	u8 output;		 /* the data port's byte */
	u8 output_port;
	u8 command; /* whose data byte is awaited; 0: none */
};

enum status i8042_init(struct i8042 *i8042, struct machine *machine, u16 data, u16 command,
	struct irq keyboard_irq, struct irq mouse_irq) must_use;

#endif
