/* SPDX-License-Identifier: MIT */
/*
 * What an engine that has the bare processor asks of its place, beyond core/host.h. Only hosts/metal supplies it, and only engines that are
 * linked there include it.
 */
#ifndef CORE_HOST_PROCESSOR_H
#define CORE_HOST_PROCESSOR_H

#include "base/types.h"

#define HOST_PROCESSORS_MAX 64

/* Of memory from host_memory_get, or of guest RAM. Both are contiguous. */
u64 host_physical_address(const void *memory);

/* While interrupts are disabled the caller stays on its processor. */
void host_interrupts_disable(void);
void host_interrupts_enable(void);
/* Which one this is, below HOST_PROCESSORS_MAX. With interrupts disabled. */
unsigned host_processor_index(void);
/* An interrupt that does nothing, so that guest mode is left. From any thread; also to its own. */
void host_processor_kick(unsigned index);

/* The TSC's frequency, and what it was at host_time_ns() 0: the same on all processors. */
u64 host_tsc_hz(void);
u64 host_tsc_start(void);

#endif
