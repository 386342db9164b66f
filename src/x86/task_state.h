/* SPDX-License-Identifier: MIT */
/* The current TSS, as stack switches see it: APM volume 2, 12.2. */
#ifndef X86_TASK_STATE_H
#define X86_TASK_STATE_H

#include "x86/cpu.h"

/* The stack for privilege level `cpl` (0-2) from a 16- or 32-bit TSS. #TS when it is not within the limit. */
void task_state_stack(struct cpu *cpu, unsigned cpl, u32 error_extra, u16 *ss, u32 *esp);
/* From a 64-bit TSS: RSP0-2, or IST1-7 when ist is not 0. #TS, #SS for a non-canonical one. */
u64 task_state_stack_64(struct cpu *cpu, unsigned cpl, unsigned ist, u32 error_extra);

#endif
