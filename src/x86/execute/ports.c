/* SPDX-License-Identifier: MIT */
/*
 * IN and OUT. The privilege check (IOPL, permission bitmap) comes first, then breakpoints, then the machine. APM
 * volume 2, 12.2.4; the string forms are in execute/string.c.
 */
#include "x86/execute/operands.h"
#include "x86/exceptions.h"
#include "x86/execute/port.h"
#include "x86/segments.h"

#define PORT_I ((u8)insn->immediate)
#define PORT_D ((u16)cpu->regs[RDX])

#define DEFINE_PORTS(bits)                                                              \
	HANDLER(in_AI_##bits)                                                           \
	{                                                                               \
		port_check(cpu, PORT_I, bits / 8);                                      \
		reg_set_##bits(cpu, RAX * 8, (u##bits)port_get(cpu, PORT_I, bits / 8)); \
	}                                                                               \
	HANDLER(in_AD_##bits)                                                           \
	{                                                                               \
		port_check(cpu, PORT_D, bits / 8);                                      \
		reg_set_##bits(cpu, RAX * 8, (u##bits)port_get(cpu, PORT_D, bits / 8)); \
	}                                                                               \
	HANDLER(out_IA_##bits)                                                          \
	{                                                                               \
		port_check(cpu, PORT_I, bits / 8);                                      \
		port_put(cpu, PORT_I, bits / 8, reg_get_##bits(cpu, RAX * 8));          \
	}                                                                               \
	HANDLER(out_DA_##bits)                                                          \
	{                                                                               \
		port_check(cpu, PORT_D, bits / 8);                                      \
		port_put(cpu, PORT_D, bits / 8, reg_get_##bits(cpu, RAX * 8));          \
	}

DEFINE_PORTS(8)
DEFINE_PORTS(16)
DEFINE_PORTS(32)
