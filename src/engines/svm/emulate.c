/* SPDX-License-Identifier: MIT */
/* What guest mode cannot do by itself is done by src/x86, as in the interpreter: one instruction, or the delivery of one event. */
#include "engines/svm/vcpu.h"
#include "x86/decode/decode.h"
#include "x86/decode/rows.h"
#include "x86/exceptions.h"
#include "x86/model.h"
#include "x86/paging.h"

#define INSN_BYTES_MAX 15

static u64 linear_of(const struct cpu *cpu, u64 rip)
{
	return cpu->code_size == SIZE_64 ? rip : (u32)(rip + cpu->segments[SEGMENT_CS].base);
}

/* Raises what fetching brings. */
static void fetch(struct cpu *cpu, struct insn *insn)
{
	u8 bytes[INSN_BYTES_MAX];
	u64 linear = linear_of(cpu, cpu->regs[RIP]);
	unsigned available = paging_fetch(cpu, linear, bytes, sizeof(bytes));
	if (decode(bytes, available, cpu->code_size, cpu->model->features, insn) !=
		DECODE_INCOMPLETE)
		return;
	paging_fetch_probe(cpu, linear_of(cpu, cpu->regs[RIP] + available));
	raise_gp(cpu, 0);
}

/* Does its row touch x87, SSE or AVX registers? Those of general registers alone are told by their CPUID bits. */
static bool touches_extended(const struct insn *insn)
{
	if (insn->row == ROW_INVALID)
		return false;
	switch (opcode_rows[insn->row].feature) {
	case FEATURE_BASE:
	case FEATURE_CMOV:
	case FEATURE_CX8:
	case FEATURE_CX16:
	case FEATURE_POPCNT:
	case FEATURE_MSR:
	case FEATURE_TSC:
	case FEATURE_RDTSCP:
	case FEATURE_LM:
	case FEATURE_MOVBE:
		return false;
	default:
		return true;
	}
}

static void execute(struct cpu *cpu, struct insn *insn)
{
	bool trap = cpu->other_flags & RFLAGS_TF;
	u8 shadow = cpu->interrupt_shadow;
	cpu->insn = insn;
	cpu->insn_end = insn + 1;
	cpu->regs[RIP] += insn->length;
	cpu->other_flags &= ~(u32)RFLAGS_RF;
	insn->execute(cpu, insn);
	cpu->insn = NULL;
	interrupts_shadow_step(cpu, shadow);
	debug_after_instruction(cpu, trap);
}

void svm_emulate(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct cpu *cpu = &vcpu->cpu;
	svm_unload(vcpu);
	cpu->insn = NULL;
	if (__builtin_setjmp(cpu->unwind)) {
		svm = svm_of(vcpu);
		if (cpu->insn) /* it has begun, and did not happen */
			cpu->regs[RIP] -= svm->insn.length;
		exception_deliver(cpu);
		return;
	}
	fetch(cpu, &svm->insn);
	if (touches_extended(&svm->insn))
		svm_extended_unload(vcpu);
	execute(cpu, &svm->insn);
}

void svm_deliver(struct vcpu *vcpu, u64 info)
{
	struct cpu *cpu = &vcpu->cpu;
	bool is_exception = bits_get(info, EVENT_TYPE_SHIFT, 3) == EVENT_TYPE_EXCEPTION;
	svm_unload(vcpu);
	cpu->insn = NULL;
	if (__builtin_setjmp(cpu->unwind)) {
		exception_deliver(cpu);
		return;
	}
	event_deliver(cpu, (u8)info, is_exception ? EVENT_EXCEPTION : EVENT_EXTERNAL,
		info & EVENT_HAS_ERROR, (u32)(info >> 32));
}
