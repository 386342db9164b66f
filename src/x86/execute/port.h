/* SPDX-License-Identifier: MIT */
/* Port accesses of the semantics: check (may raise), then get or put. */
#ifndef X86_EXECUTE_PORT_H
#define X86_EXECUTE_PORT_H

#include "x86/cpu.h"
#include "x86/environment.h"
#include "x86/exceptions.h"
#include "x86/segments.h"

/* Raises #GP(0) where CPL and IOPL, or virtual-8086 mode, leave it to a bitmap that forbids it. */
static inline void port_check(struct cpu *cpu, u16 port, unsigned bytes)
{
	if (cpu_is_protected(cpu) && (cpu->cpl > cpu_iopl(cpu) || cpu_is_virtual_8086(cpu)))
		segment_check_io(cpu, port, bytes);
}

static inline u32 port_get(struct cpu *cpu, u16 port, unsigned bytes)
{
	if (unlikely(cpu->debug_active))
		debug_check_port(cpu, port, bytes);
	return cpu->environment->port_read(cpu, port, bytes);
}

static inline void port_put(struct cpu *cpu, u16 port, unsigned bytes, u32 value)
{
	if (unlikely(cpu->debug_active))
		debug_check_port(cpu, port, bytes);
	cpu->environment->port_write(cpu, port, bytes, value);
}

#endif
