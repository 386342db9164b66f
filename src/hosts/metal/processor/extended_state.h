/* SPDX-License-Identifier: MIT */
/*
 * Which state of x87, SSE and AVX this processor has, and keeping a thread's while another runs. The hypervisor itself uses none of it but
 * in src/x86/fpu*.c.
 */
#ifndef HOSTS_METAL_PROCESSOR_EXTENDED_STATE_H
#define HOSTS_METAL_PROCESSOR_EXTENDED_STATE_H

#include "base/types.h"

/* Room that extended_state_save needs, and its alignment. */
#define EXTENDED_STATE_BYTES 4096

/* On each processor: XCR0 has all that guests may have of it. */
void extended_state_enable(void);
void extended_state_save(void *to);
void extended_state_restore(const void *from);
/* As a thread begins. */
void extended_state_init(void *state);

#endif
