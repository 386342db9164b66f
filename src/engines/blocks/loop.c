/* SPDX-License-Identifier: MIT */
#include "engines/blocks/loop.h"
#include "base/atomic.h"
#include "core/tracer.h"
#include "x86/decode/rows.h"
#include "x86/exceptions.h"
#include "x86/flags.h"

static struct inbox *inbox_of(struct vcpu *vcpu)
{
	return &loop_of(vcpu)->inbox;
}

static void watch_page(struct cpu *cpu, u64 physical, bool on)
{
	struct vcpu *vcpu = vcpu_of(cpu);
	inbox_watch(inbox_of(vcpu), vcpu, physical, on);
}

static const u8 *page_source(struct cpu *cpu, u64 physical, u64 *changed)
{
	return inbox_source(inbox_of(vcpu_of(cpu)), physical, changed);
}

enum status loop_init(struct loop *loop, struct vcpu *vcpu, u64 arena_bytes, unsigned regions)
{
	enum status status =
		block_cache_init(&loop->cache, &vcpu->cpu, arena_bytes, regions, watch_page);
	if (status != STATUS_OK)
		return status;
	loop->cache.source = page_source;
	status = inbox_init(&loop->inbox, vcpu->machine, &loop->cache, inbox_of);
	if (status != STATUS_OK)
		block_cache_fini(&loop->cache);
	return status;
}

void loop_fini(struct loop *loop)
{
	inbox_fini(&loop->inbox);
	block_cache_fini(&loop->cache);
}

void loop_memory_changed(struct machine *machine, u64 gpa, u64 bytes, struct vcpu *by)
{
	inbox_post_written(machine, gpa, bytes, by, inbox_of);
	if (!by)
		return;
	/* The current block may be among those that are dropped; others are told before the next instruction's effects. */
	if (block_cache_written(&loop_of(by)->cache, gpa, bytes) || machine->vcpu_count > 1)
		cpu_end_block(&by->cpu);
}

static no_inline void trace_fault(struct vcpu *vcpu)
{
	const struct cpu *cpu = &vcpu->cpu;
	unsigned vector = cpu->fault.vector;
	char code[20] = "", address[40] = "";
	struct text text;
	text_init(&text, code, sizeof(code));
	if (cpu->fault.has_error_code)
		text_format(&text, ", code %x", cpu->fault.error_code);
	text_init(&text, address, sizeof(address));
	if (vector == EXCEPTION_PF)
		text_format(&text, ", address %lx", cpu->fault.cr2);
	tracer_event(vcpu, false, "exception %u %s%s%s", vector, tracer_exception_name(vector),
		code, address);
}

void loop_catch_fault(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;
	struct loop *loop = loop_of(vcpu);
	if (loop->start) {
		loop->retired = loop_insns_retired(vcpu);
		loop->start = NULL;
		cpu->regs[RIP] -= cpu->insn->length;
	}
	if (unlikely(vcpu->machine->tracer))
		trace_fault(vcpu);
	loop->retired++;
	exception_deliver(cpu);
}

/* One instruction, with all that is looked at only when something asks for it: TF, breakpoints, shadows. */
static no_inline void run_one(struct cpu *cpu, struct loop *loop)
{
	bool trap = cpu->other_flags & RFLAGS_TF;
	if (cpu->debug_active)
		debug_check_execute(cpu, block_linear(cpu));
	struct block *block = block_find(&loop->cache);
	u8 shadow = cpu->interrupt_shadow;
	cpu->other_flags &= ~(u32)RFLAGS_RF;
	loop_run_block(cpu, loop, block, 1);
	interrupts_shadow_step(cpu, shadow);
	debug_after_instruction(cpu, trap);
}

#define TAKEN_MAX 3

static bool has_serialized(const struct cpu *cpu)
{
	return cpu->insn && cpu->insn->row != ROW_INVALID &&
		(opcode_rows[cpu->insn->row].attributes & ROW_SERIALIZE);
}

/* True: something ended the run. *most: how many instructions may run before the next look. */
static no_inline bool see_to_pending(struct vcpu *vcpu, enum run_exit *exit, u64 *most)
{
	struct cpu *cpu = &vcpu->cpu;
	u32 pending = atomic_load_32(&cpu->pending);
	unsigned taken = 0;
	if (pending & PENDING_ENGINE)
		inbox_empty(inbox_of(vcpu), vcpu, has_serialized(cpu));
	if (pending & PENDING_STOP) {
		*exit = RUN_STOPPED;
		return true;
	}
	/*
	 * A trap, an NMI and an interrupt may be due at once: each comes before the first instruction of the last one's handler.
	 * No more than these, since a guest could have its interrupts nest without end, and time would stand; what still waits then
	 * comes after one instruction, wherever its block ends.
	 */
	if (pending & ~(u32)(PENDING_STOP | PENDING_ENGINE))
		while (taken < TAKEN_MAX && interrupts_take(cpu))
			taken++;
	if (unlikely(taken == TAKEN_MAX))
		*most = 1;
	return false;
}

bool loop_before_block(struct vcpu *vcpu, enum run_exit *exit, u64 *most)
{
	struct cpu *cpu = &vcpu->cpu;
	struct loop *loop = loop_of(vcpu);
	/* First of all: what is pending is taken once between two instructions, wherever a run ends. */
	*exit = RUN_STOPPED;
	*most = loop->limit - loop->retired;
	if (unlikely(!*most))
		return false;
	if (unlikely(inbox_is_provisional(&loop->inbox)) && has_serialized(cpu))
		atomic_or_32(&cpu->pending, PENDING_ENGINE);
	if (unlikely(atomic_load_32(&cpu->pending)) && see_to_pending(vcpu, exit, most))
		return false;
	if (unlikely(cpu->activity != CPU_RUNNING)) {
		*exit = cpu->activity == CPU_SHUTDOWN ? RUN_SHUTDOWN : RUN_IDLE;
		return false;
	}
	if (unlikely(vcpu->before_insn) && vcpu->before_insn(vcpu, vcpu->before_insn_context))
		return false;
	if (unlikely((cpu->other_flags & (RFLAGS_TF | RFLAGS_RF)) || cpu->interrupt_shadow ||
		    cpu->debug_active || vcpu->before_insn)) {
		run_one(cpu, loop);
		*most = 0;
	}
	return true;
}

enum run_exit loop_run(struct vcpu *vcpu, u64 insns, const struct loop_ops *ops)
{
	struct loop *loop = loop_of(vcpu);
	loop->limit = insns > ~(u64)0 - loop->retired ? ~(u64)0 : loop->retired + insns;
	inbox_begin_run(&loop->inbox, vcpu);
	if (__builtin_setjmp(vcpu->cpu.unwind))
		ops->catch_fault(vcpu);
	enum run_exit exit = ops->run_blocks(vcpu);
	loop = loop_of(vcpu);
	/* What LAHF puts between them means nothing, and engines would differ in what they save. */
	vcpu->cpu.arithmetic_flags &= PACKED_ALL;
	inbox_end_run(&loop->inbox, vcpu);
	return exit;
}

/* ---- the rest of engine_ops ---------------------------------------------------------------------- */

enum status loop_machine_attach(struct machine *machine)
{
	return STATUS_OK;
}

void loop_machine_detach(struct machine *machine) {}

void loop_kick(struct vcpu *vcpu) {}

void loop_pull_state(struct vcpu *vcpu) {}

void loop_push_state(struct vcpu *vcpu)
{
	block_cache_empty(&loop_of(vcpu)->cache);
}
