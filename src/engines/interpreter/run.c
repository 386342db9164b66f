/* SPDX-License-Identifier: MIT */
/*
 * The interpreter: the reference for all other engines. One decoded instruction after the other; between blocks it
 * looks at what is pending.
 */
#include "base/atomic.h"
#include "base/memory.h"
#include "core/machine.h"
#include "engines/blocks/block.h"
#include "engines/blocks/inbox.h"
#include "x86/decode/rows.h"
#include "x86/exceptions.h"
#include "x86/fpu.h"

#define ARENA_BYTES (12 * MIB)

struct interpreter {
	struct block_cache cache;
	u64 retired;		  /* up to the current block's start */
	u64 limit;		  /* where run returns */
	const struct insn *start; /* of the current block; NULL between blocks */
	struct inbox inbox;
};

static enum status interpreter_probe(struct error *error)
{
	const char *missing;
	if (fpu_host_supported(&missing))
		return STATUS_OK;
	return error_set(error, STATUS_UNSUPPORTED,
		"this processor lacks %s, which the engine interp needs", missing);
}

static enum status machine_attach(struct machine *machine)
{
	return STATUS_OK;
}

static void machine_detach(struct machine *machine) {}

static struct inbox *inbox_of(struct vcpu *vcpu)
{
	return &((struct interpreter *)vcpu->engine)->inbox;
}

static void watch_page(struct cpu *cpu, u64 physical, bool on)
{
	struct vcpu *vcpu = vcpu_of(cpu);
	inbox_watch(inbox_of(vcpu), vcpu, physical, on);
}

static enum status vcpu_attach(struct vcpu *vcpu)
{
	struct interpreter *interpreter = host_memory_get(sizeof(*interpreter));
	if (!interpreter)
		return STATUS_NO_MEMORY;
	enum status status =
		block_cache_init(&interpreter->cache, &vcpu->cpu, ARENA_BYTES, watch_page);
	if (status == STATUS_OK) {
		status = inbox_init(
			&interpreter->inbox, vcpu->machine, &interpreter->cache, inbox_of);
		if (status != STATUS_OK)
			block_cache_fini(&interpreter->cache);
	}
	if (status != STATUS_OK) {
		host_memory_put(interpreter, sizeof(*interpreter));
		return status;
	}
	vcpu->engine = interpreter;
	return STATUS_OK;
}

static void vcpu_detach(struct vcpu *vcpu)
{
	struct interpreter *interpreter = vcpu->engine;
	inbox_fini(&interpreter->inbox);
	block_cache_fini(&interpreter->cache);
	host_memory_put(interpreter, sizeof(*interpreter));
	vcpu->engine = NULL;
}

static void memory_changed(struct machine *machine, u64 gpa, u64 bytes, struct vcpu *by)
{
	inbox_post_written(machine, gpa, bytes, by, inbox_of);
	if (!by)
		return;
	/* The current block may be among those that are dropped; others are told before the next instruction's effects. */
	if (block_cache_written(&((struct interpreter *)by->engine)->cache, gpa, bytes) ||
		machine->vcpu_count > 1)
		cpu_end_block(&by->cpu);
}

static u64 insns_retired(struct vcpu *vcpu)
{
	const struct interpreter *interpreter = vcpu->engine;
	if (!interpreter->start)
		return interpreter->retired;
	return interpreter->retired + (u64)(vcpu->cpu.insn - interpreter->start);
}

/*
 * An unwound instruction: it did not happen, or the fetch of it did not. It counts all the same: a guest whose every
 * instruction faults, handlers' first ones included, must not stop the instruction clock, nor run past its limit.
 */
static void catch_fault(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;
	struct interpreter *interpreter = vcpu->engine;
	if (interpreter->start) {
		interpreter->retired = insns_retired(vcpu);
		interpreter->start = NULL;
		cpu->regs[RIP] -= cpu->insn->length;
	}
	interpreter->retired++;
	exception_deliver(cpu);
}

/* The block's first `count` instructions. */
static always_inline void run_block(
	struct cpu *cpu, struct interpreter *interpreter, const struct block *block, u64 count)
{
	const struct insn *insn = block->insns;
	u64 rip = cpu->regs[RIP];
	cpu->insn_end = insn + count;
	interpreter->start = insn;
	do {
		cpu->insn = insn;
		rip += insn->length;
		cpu->regs[RIP] = rip;
		insn->execute(cpu, insn);
		insn++;
	} while (insn < cpu->insn_end);
	interpreter->retired += (u64)(insn - interpreter->start);
	interpreter->start = NULL;
}

/* One instruction, with all that is looked at only when something asks for it: TF, breakpoints, shadows. */
static no_inline void run_one(struct cpu *cpu, struct interpreter *interpreter)
{
	bool trap = cpu->other_flags & RFLAGS_TF;
	if (cpu->debug_active)
		debug_check_execute(cpu, block_linear(cpu));
	struct block *block = block_find(&interpreter->cache);
	u8 shadow = cpu->interrupt_shadow;
	cpu->other_flags &= ~(u32)RFLAGS_RF;
	run_block(cpu, interpreter, block, 1);
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
static bool see_to_pending(struct vcpu *vcpu, enum run_exit *exit, u64 *most)
{
	struct cpu *cpu = &vcpu->cpu;
	u32 pending = atomic_load_32(&cpu->pending);
	unsigned taken = 0;
	if (pending & PENDING_ENGINE)
		inbox_empty(inbox_of(vcpu), vcpu, insns_retired(vcpu), has_serialized(cpu));
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

static no_inline enum run_exit run_blocks(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;
	struct interpreter *interpreter = vcpu->engine;
	enum run_exit exit;
	for (;;) {
		/* First of all: what is pending is taken once between two instructions, wherever a run ends. */
		u64 most = interpreter->limit - interpreter->retired;
		if (unlikely(!most))
			return RUN_STOPPED;
		if (unlikely(atomic_load_32(&cpu->pending)) && see_to_pending(vcpu, &exit, &most))
			return exit;
		if (unlikely(cpu->activity != CPU_RUNNING))
			return cpu->activity == CPU_SHUTDOWN ? RUN_SHUTDOWN : RUN_IDLE;
		if (unlikely(vcpu->before_insn) &&
			vcpu->before_insn(vcpu, vcpu->before_insn_context))
			return RUN_STOPPED;
		if (unlikely((cpu->other_flags & (RFLAGS_TF | RFLAGS_RF)) ||
			    cpu->interrupt_shadow || cpu->debug_active || vcpu->before_insn)) {
			run_one(cpu, interpreter);
			continue;
		}
		const struct block *block = block_find(&interpreter->cache);
		run_block(cpu, interpreter, block, MIN(block->count, most));
	}
}

static enum run_exit interpreter_run(struct vcpu *vcpu, u64 insns)
{
	struct interpreter *interpreter = vcpu->engine;
	interpreter->limit =
		insns > ~(u64)0 - interpreter->retired ? ~(u64)0 : interpreter->retired + insns;
	inbox_begin_run(&interpreter->inbox);
	if (__builtin_setjmp(vcpu->cpu.unwind))
		catch_fault(vcpu);
	enum run_exit exit = run_blocks(vcpu);
	interpreter = vcpu->engine;
	inbox_end_run(&interpreter->inbox, vcpu, interpreter->retired);
	return exit;
}

static void kick(struct vcpu *vcpu)
{
	/* The loop looks at pending between blocks. */
}

static void pull_state(struct vcpu *vcpu) {}

static void push_state(struct vcpu *vcpu)
{
	block_cache_empty(&((struct interpreter *)vcpu->engine)->cache);
}

const struct engine_ops engine_interpreter = {
	.name = "interp",
	.probe = interpreter_probe,
	.machine_attach = machine_attach,
	.machine_detach = machine_detach,
	.vcpu_attach = vcpu_attach,
	.vcpu_detach = vcpu_detach,
	.memory_changed = memory_changed,
	.run = interpreter_run,
	.insns_retired = insns_retired,
	.kick = kick,
	.pull_state = pull_state,
	.push_state = push_state,
};
