/* SPDX-License-Identifier: MIT */
/*
 * The instructions that a vCPU executes as text, one a line, each with the registers that it changed (an interrupt delivered right
 * behind it included). Made with vcpu->before_insn, so that the engine runs one instruction at a time.
 */
#ifndef CORE_INSN_TRACE_H
#define CORE_INSN_TRACE_H

#include "base/text.h"
#include "core/vcpu.h"

struct insn_trace {
	void (*put)(void *context, const char *line); /* no newline in it */
	void *context;
	u64 insns; /* of the line in the making */
	u64 regs[REGISTER_COUNT], flags;
	bool has_line;
	char line[160]; /* the last instruction, still without what it changed */
	struct text text;
};

/* The instruction at RIP, without side effects; false: there is none that can be read there. */
bool insn_trace_decode(struct cpu *cpu, struct insn *insn, u64 *linear);
/* "rip: instruction" of the one at RIP. */
void insn_trace_print(struct cpu *cpu, struct text *text);

/* For vcpu->before_insn, context being the trace. */
bool insn_trace_before(struct vcpu *vcpu, void *trace);
/* The last line, once the last instruction is done. */
void insn_trace_end(struct insn_trace *trace, struct vcpu *vcpu);

extern const char *const insn_trace_register_names[REGISTER_COUNT];

#endif
