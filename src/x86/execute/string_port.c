/* SPDX-License-Identifier: MIT */
/*
 * INS and OUTS: one element at a time, since each is an access of a device. The memory side is checked before
 * the device is asked, so that a fault loses nothing. APM volume 3.
 */
#include "x86/execute/port.h"
#include "x86/execute/string.h"

#define DEFINE_PORT_STRING(bits)                                                               \
	static void element_ins_##bits(struct cpu *cpu, const struct insn *insn, u16 port)     \
	{                                                                                      \
		struct rmw to = rmw_begin_linear(                                              \
			cpu, string_destination(cpu, insn, bits / 8, ACCESS_WRITE), bits / 8); \
		rmw_set_##bits(cpu, &to, (u##bits)port_get(cpu, port, bits / 8));              \
		string_add(cpu, insn, RDI, string_step(cpu, bits / 8));                        \
	}                                                                                      \
	static void element_outs_##bits(struct cpu *cpu, const struct insn *insn, u16 port)    \
	{                                                                                      \
		u##bits value = load_##bits(cpu, string_source(cpu, insn, bits / 8));          \
		port_put(cpu, port, bits / 8, value);                                          \
		string_add(cpu, insn, RSI, string_step(cpu, bits / 8));                        \
	}                                                                                      \
	DEFINE_PORT_HANDLER(ins, bits)                                                         \
	DEFINE_PORT_HANDLER(outs, bits)

#define DEFINE_PORT_HANDLER(name, bits)                                                   \
	HANDLER(name##_##bits)                                                            \
	{                                                                                 \
		u16 port = (u16)cpu->regs[RDX];                                           \
		unsigned runs = 0;                                                        \
		port_check(cpu, port, bits / 8);                                          \
		if (!string_repeats(insn)) {                                              \
			element_##name##_##bits(cpu, insn, port);                         \
			return;                                                           \
		}                                                                         \
		while (string_get(cpu, insn, RCX)) {                                      \
			element_##name##_##bits(cpu, insn, port);                         \
			string_add(cpu, insn, RCX, (u64)-1);                              \
			if (string_get(cpu, insn, RCX) && string_must_stop(cpu, &runs)) { \
				string_interrupt(cpu, insn);                              \
				return;                                                   \
			}                                                                 \
		}                                                                         \
	}

DEFINE_PORT_STRING(8)
DEFINE_PORT_STRING(16)
DEFINE_PORT_STRING(32)
