/* SPDX-License-Identifier: MIT */
/*
 * The registers as gdb numbers and names them: gdb's own features for x86-64 (core, sse, segments, avx), and a feature of ours with
 * the system registers. Source: GDB manual, appendix G.5.5; gdb's features/i386/64bit-*.xml.
 */
#ifndef CONTROL_GDB_REGISTERS_H
#define CONTROL_GDB_REGISTERS_H

#include "base/text.h"
#include "x86/cpu.h"

#define GDB_REGISTER_BYTES_MAX 16
/* What gdb_registers_describe needs at most. */
#define GDB_DESCRIPTION_BYTES 12288

/* By the processor's model. */
unsigned gdb_register_count(const struct cpu *cpu);

/* Bytes of the register's value, little endian, to value; their number, 0 where there is no such register. */
unsigned gdb_register_get(const struct cpu *cpu, unsigned number, u8 value[GDB_REGISTER_BYTES_MAX]);
#define GDB_REGISTER_RIP 16
/* False, and nothing changed: no such register, one that is only shown, or a value that no processor could hold. Sent elsewhere, a halted one runs. */
bool gdb_register_set(struct cpu *cpu, unsigned number, const u8 value[GDB_REGISTER_BYTES_MAX]);
unsigned gdb_register_bytes(unsigned number);
/* target.xml */
void gdb_registers_describe(const struct cpu *cpu, struct text *text);

#endif
