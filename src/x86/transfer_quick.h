/* SPDX-License-Identifier: MIT */
/*
 * The usual ways into a 64-bit kernel and back, by gate and IRETQ, when all that they read and write is in the TLB and holds nothing
 * unusual, so that nothing can be raised: then they are done and the answer is true. False: nothing has changed, and
 * the general way (exceptions.c, interrupt_return.c) does it, or finds what is wrong with it.
 */
#ifndef X86_TRANSFER_QUICK_H
#define X86_TRANSFER_QUICK_H

#include "x86/event.h"

bool event_deliver_quick(struct cpu *cpu, const struct event *event);
bool interrupt_return_quick(struct cpu *cpu); /* IRETQ in 64-bit code */

#endif
