/* SPDX-License-Identifier: MIT */
/*
 * The pair of 8259A interrupt controllers of a PC, the second one on the first one's input 2, with the
 * edge/level control registers of later chip sets. Source: Intel 8259A data sheet (order number 231468).
 */
#ifndef DEVICES_IRQCHIP_PIC8259_H
#define DEVICES_IRQCHIP_PIC8259_H

#include "core/device.h"
#include "core/irq.h"

struct pic8259_chip {
	u8 irr, isr, imr;
	u8 lines;	    /* input levels as last set */
	u8 vector_base;	    /* ICW2, bits 7-3 */
	u8 cascade;	    /* ICW3, read by nobody: the wiring is fixed */
	u8 icw1, icw4;	    /* as written */
	u8 elcr;	    /* bit: level-triggered */
	u8 init_step;	    /* which ICW is expected next: 0 none, else 2, 3, 4 */
	u8 lowest_priority; /* the input that has it; 7 at power-on */
	bool read_isr;	    /* OCW3 */
	bool is_polled;	    /* the next read is a poll */
	bool special_mask;
	bool rotate_on_aeoi;
};

struct pic8259 {
	struct device device;
	struct bus_region regions[3];
	struct pic8259_chip chips[2];
	struct irq output; /* INT of the first chip */
};

/* Ports: two at master and slave each, two ELCRs at elcr. output stays high while an interrupt asks for delivery. */
enum status pic8259_init(struct pic8259 *pic, struct machine *machine, u16 master, u16 slave,
	u16 elcr, struct irq output) must_use;
/* A struct irq's function: owner is the struct pic8259, line 0 to 15 (2 is the cascade: ignored). */
void pic8259_set_line(void *owner, unsigned line, bool level);
/* INTA cycles: the vector (a spurious one when the request has gone). With machine->lock held. */
int pic8259_acknowledge(void *owner);

#endif
