/* SPDX-License-Identifier: MIT */
#include "hosts/metal/interrupts/interrupts.h"
#include "base/bits.h"
#include "hosts/metal/interrupts/apic.h"
#include "hosts/metal/panic.h"
#include "hosts/metal/processor/processor.h"
#include "hosts/metal/schedule/thread.h"

/* APM volume 2, 4.8.4. */
struct gate {
	u16 offset_low, selector;
	u8 stack, type;
	u16 offset_middle;
	u32 offset_high, reserved;
};
#define GATE_INTERRUPT 0x8e

extern const u64 interrupt_entries[256]; /* interrupts/entry.S */
void interrupt_dispatch(struct interrupt_frame *frame);

static struct gate table[256];
static void (*handlers[256])(void);

void interrupts_init(void)
{
	for (unsigned vector = 0; vector < 256; vector++) {
		u64 entry = interrupt_entries[vector];
		table[vector] = (struct gate){.offset_low = (u16)entry,
			.selector = SELECTOR_CODE,
			.type = GATE_INTERRUPT,
			.offset_middle = (u16)(entry >> 16),
			.offset_high = (u32)(entry >> 32)};
	}
	table[VECTOR_DOUBLE_FAULT].stack = STACK_DOUBLE_FAULT;
	table[VECTOR_NMI].stack = STACK_NMI;
}

void interrupts_load(void)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) pointer = {sizeof(table) - 1, (u64)table};
	__asm__ volatile("lidt %0" : : "m"(pointer));
}

void interrupts_set_handler(enum interrupt_vector vector, void (*handler)(void))
{
	handlers[vector] = handler;
}

void interrupt_dispatch(struct interrupt_frame *frame)
{
	if (frame->vector < VECTOR_EXCEPTIONS)
		panic_exception(frame);
	if (frame->vector == VECTOR_SPURIOUS) /* has no end: APM volume 2, 16.4.7 */
		return;
	if (handlers[frame->vector])
		handlers[frame->vector]();
	apic_end_of_interrupt();
	struct processor *here = processor_here();
	if (here->needs_schedule && !here->preempt_disabled)
		thread_schedule();
}
