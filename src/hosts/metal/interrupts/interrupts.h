/* SPDX-License-Identifier: MIT */
/* The interrupt descriptor table: exceptions of the hypervisor's own are its end, interrupts have a handler each. */
#ifndef HOSTS_METAL_INTERRUPTS_INTERRUPTS_H
#define HOSTS_METAL_INTERRUPTS_INTERRUPTS_H

#include "base/types.h"

enum interrupt_vector {
	VECTOR_NMI = 2,
	VECTOR_DOUBLE_FAULT = 8,
	VECTOR_PAGE_FAULT = 14,
	VECTOR_EXCEPTIONS = 32,
	VECTOR_TIMER = 0x40,
	VECTOR_KICK = 0x41, /* look up: guest mode is left, a thread is to be scheduled */
	VECTOR_SERIAL = 0x42,
	VECTOR_HALT = 0x43, /* another processor has met its end */
	VECTOR_SPURIOUS = 0xff,
};

/* As interrupts/entry.S leaves it on the stack. */
struct interrupt_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error_code;
	u64 rip, cs, rflags, rsp, ss;
};

/* Once: the table. */
void interrupts_init(void);
/* On each processor. */
void interrupts_load(void);
/* Called with interrupts disabled, on the interrupted thread's stack; must be short. The APIC's end of interrupt is not its business. */
void interrupts_set_handler(enum interrupt_vector vector, void (*handler)(void));

#endif
