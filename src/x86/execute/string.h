/* SPDX-License-Identifier: MIT */
/*
 * The pointers and the counter of string instructions, and how many elements can be done at once: execute/string.c
 * (MOVS, STOS, LODS, SCAS, CMPS) and execute/string_port.c (INS, OUTS). APM volume 3, chapter 1.2.6.
 */
#ifndef X86_EXECUTE_STRING_H
#define X86_EXECUTE_STRING_H

#include "x86/execute/operands.h"

/* Elements between two looks at cpu->pending. */
#define STRING_CHUNK 4096

static always_inline u64 string_cut(const struct insn *insn, u64 value)
{
	if (likely(insn->address_size == SIZE_64))
		return value;
	return insn->address_size == SIZE_32 ? (u32)value : (u16)value;
}

/* RSI, RDI or RCX, as far as the address size reaches. */
static always_inline u64 string_get(
	const struct cpu *cpu, const struct insn *insn, enum register_name name)
{
	return string_cut(insn, cpu->regs[name]);
}

static always_inline void string_add(
	struct cpu *cpu, const struct insn *insn, enum register_name name, u64 delta)
{
	if (unlikely(insn->address_size == SIZE_16))
		reg_set_16(cpu, name * 8, (u16)(cpu->regs[name] + delta));
	else
		cpu->regs[name] = string_cut(insn, cpu->regs[name] + delta);
}

static always_inline bool string_repeats(const struct insn *insn)
{
	return insn->flags & (INSN_REP | INSN_REPNE);
}

static always_inline bool string_backward(const struct cpu *cpu)
{
	return cpu->other_flags & RFLAGS_DF;
}

/* What a pointer moves by after one element. */
static always_inline u64 string_step(const struct cpu *cpu, unsigned bytes)
{
	return string_backward(cpu) ? -(u64)bytes : bytes;
}

static always_inline u64 string_source(struct cpu *cpu, const struct insn *insn, unsigned bytes)
{
	u64 offset = string_get(cpu, insn, RSI);
	if (likely(insn->code_size == SIZE_64))
		return offset + cpu->segments[insn->segment].base;
	return segment_linear(cpu, insn->segment, offset, bytes, ACCESS_READ);
}

/*
 * How many of the `count` elements at `at`, in the direction, a repeated SCAS (other: NULL) or CMPS passes over: their being equal to
 * `value`, or to those at `other`, is `equal`. May be fewer, and leaves at least one, whose comparison gives the flags. All elements
 * are RAM.
 */
u64 string_skip(const u8 *at, const u8 *other, u64 value, u64 count, unsigned bytes, bool equal,
	bool backward);

/* Always in ES, which 64-bit code sees as flat. */
static always_inline u64 string_destination(
	struct cpu *cpu, const struct insn *insn, unsigned bytes, enum access_kind kind)
{
	u64 offset = string_get(cpu, insn, RDI);
	if (likely(insn->code_size == SIZE_64))
		return offset;
	return segment_linear(cpu, SEGMENT_ES, offset, bytes, kind);
}

/* Leaves a repeated instruction between two elements: it will be executed again for the rest. */
static inline void string_interrupt(struct cpu *cpu, const struct insn *insn)
{
	cpu->regs[RIP] -= insn->length;
	cpu_end_block(cpu);
}

/*
 * After a run of elements, with more to do: true when something waits that an interrupt, a trap or the host
 * brought; and after so many runs, so that a repeated instruction takes time that the instruction clock sees, however
 * long it goes on. *runs begins as 0.
 *
 * What one execution does, and so what counts as one instruction, depends on architectural state and on where memory is RAM, never
 * on the TLB or on which pages hold code: a run ends at a page's end at either pointer, after STRING_CHUNK elements, or
 * is one element. Under the instruction clock nothing from outside ends it either (pending_waits), since a machine that was
 * saved, or spoken to, in the middle would have counted one instruction more.
 */
#define STRING_RUNS_MAX 64

static inline bool string_must_stop(struct cpu *cpu, unsigned *runs)
{
	return ++*runs == STRING_RUNS_MAX ||
		(atomic_load_32(&cpu->pending) & ~cpu->pending_waits) ||
		(cpu->other_flags & RFLAGS_TF);
}

#endif
