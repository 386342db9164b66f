/* SPDX-License-Identifier: MIT */
/*
 * 8254 interval timer, with the PC's port 0x61 that holds counter 2's gate and output.
 * Source: Intel 82C54 data sheet (231244); ICH9 data sheet, 13.7.1 (port 61h).
 */
#ifndef DEVICES_PC_PIT8254_H
#define DEVICES_PC_PIT8254_H

#include "core/device.h"
#include "core/event.h"
#include "core/irq.h"

#define PIT_HZ 1193182

/* Times are in ticks of PIT_HZ since the machine's time 0; nothing is ever counted down. */
struct pit_counter {
	u8 control; /* mode, access and BCD bits of the control word, as status reads them (bits 5-0) */
	bool gate;
	bool is_counting; /* a count has been loaded (and, modes 1 and 5, the gate has triggered) */
	bool is_null;	  /* no count has been written since the control word */
	bool is_paused;	  /* by the gate; not in modes 1, 5 */
	bool has_next;	  /* modes 2, 3: next_reload replaces reload at the end of the period */
	bool high_write_next, high_read_next;
	u8 low_written;	  /* the first of two bytes */
	u8 latched_bytes; /* how many of count_latch are to be read yet */
	bool status_latched;
	u8 status_latch;
	u16 count_latch;
	u32 reload, next_reload; /* 1 to 65536 (10000) */
	u64 start;		 /* the tick at which reload was in the counter */
	u64 paused_after;	 /* is_paused: ticks since start */
};

struct pit8254 {
	struct device device;
	struct bus_region regions[2];
	struct pit_counter counters[3];
	u8 port_61;	   /* bits 3-0 as written */
	struct irq output; /* of counter 0 */
	bool output_level;
	struct event edge; /* of counter 0's output */
};

/* Four ports at base; port 0x61 at speaker. */
enum status pit8254_init(struct pit8254 *pit, struct machine *machine, u16 base, u16 speaker,
	struct irq output) must_use;

#endif
