/* SPDX-License-Identifier: MIT */
#include "hosts/metal/console/serial.h"
#include "base/bits.h"
#include "hosts/metal/instructions.h"
#include "hosts/metal/interrupts/apic.h"

#define SERIAL_PORT 0x3f8
#define SERIAL_IRQ 4

enum serial_register { DATA = 0, INTERRUPTS = 1, FIFO = 2, LINE = 3, MODEM = 4, STATUS = 5 };

#define LINE_DIVISOR BIT(7)
#define LINE_8_BITS 3
#define FIFO_ENABLE_AND_CLEAR 7
#define MODEM_READY 3	    /* DTR, RTS */
#define MODEM_INTERRUPTS 11 /* and OUT2, which lets the interrupt through */
#define STATUS_ARRIVED BIT(0)
#define STATUS_EMPTY BIT(5)
#define FIFO_BYTES 16
#define POLLS_MAX 1000000 /* no port, or one that is stuck: what is written is lost */

static u8 get(enum serial_register reg)
{
	return port_read_8(SERIAL_PORT + reg);
}

static void put(enum serial_register reg, u8 value)
{
	port_write_8(SERIAL_PORT + reg, value);
}

void serial_init(void)
{
	put(INTERRUPTS, 0);
	put(LINE, LINE_DIVISOR);
	put(DATA, 1);
	put(INTERRUPTS, 0);
	put(LINE, LINE_8_BITS);
	put(FIFO, FIFO_ENABLE_AND_CLEAR);
	put(MODEM, MODEM_READY);
}

bool serial_enable_interrupt(void (*arrived)(void))
{
	interrupts_set_handler(VECTOR_SERIAL, arrived);
	if (!apic_route_isa(SERIAL_IRQ, VECTOR_SERIAL))
		return false;
	put(MODEM, MODEM_INTERRUPTS);
	put(INTERRUPTS, 1); /* of arrived bytes */
	return true;
}

void serial_write_now(const u8 *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		unsigned polls = 0;
		/* An empty FIFO takes 16 at once. */
		while (i % FIFO_BYTES == 0 && !(get(STATUS) & STATUS_EMPTY) && polls < POLLS_MAX)
			polls++;
		put(DATA, from[i]);
	}
}

int serial_read(void)
{
	return get(STATUS) & STATUS_ARRIVED ? get(DATA) : -1;
}
