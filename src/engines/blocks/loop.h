/* SPDX-License-Identifier: MIT */
/*
 * What the software engines' run loops share: one decoded instruction after the other, exactly, with everything that is looked at only
 * when something asks for it.
 */
#ifndef ENGINES_BLOCKS_LOOP_H
#define ENGINES_BLOCKS_LOOP_H

#include "core/machine.h"
#include "engines/blocks/block.h"
#include "engines/blocks/inbox.h"

struct loop {
	struct block_cache cache;
	struct inbox inbox;
	u64 retired;		  /* up to the current block's start */
	u64 limit;		  /* where run returns */
	const struct insn *start; /* of the current block; NULL between blocks */
};

/* The loop of a vCPU whose engine part begins with it. */
static always_inline struct loop *loop_of(struct vcpu *vcpu)
{
	return vcpu->engine;
}

enum status loop_init(
	struct loop *loop, struct vcpu *vcpu, u64 arena_bytes, unsigned regions) must_use;
void loop_fini(struct loop *loop);

/* engine_ops.memory_changed. */
void loop_memory_changed(struct machine *machine, u64 gpa, u64 bytes, struct vcpu *by);

static always_inline u64 loop_insns_retired(struct vcpu *vcpu)
{
	const struct loop *loop = loop_of(vcpu);
	if (!loop->start)
		return loop->retired;
	return loop->retired + (u64)(vcpu->cpu.insn - loop->start);
}

/*
 * An unwound instruction: it did not happen, or the fetch of it did not. It counts all the same: a guest whose every
 * instruction faults, handlers' first ones included, must not stop the instruction clock, nor run past its limit.
 */
void loop_catch_fault(struct vcpu *vcpu);

/* The block's first `count` instructions. */
static always_inline void loop_run_block(
	struct cpu *cpu, struct loop *loop, const struct block *block, u64 count)
{
	const struct insn *insn = block->insns;
	u64 rip = cpu->regs[RIP];
	cpu->insn_end = insn + count;
	loop->start = insn;
	do {
		cpu->insn = insn;
		rip += insn->length;
		cpu->regs[RIP] = rip;
		insn->execute(cpu, insn);
		insn++;
	} while (insn < cpu->insn_end);
	loop->retired += (u64)(insn - loop->start);
	loop->start = NULL;
}

/*
 * What comes before each block: the limit, what is pending, whether the processor runs at all, a debugger. False: *exit is why the run
 * ends. *most: how many instructions may run before the next look; 0: one was run here, look again.
 */
bool loop_before_block(struct vcpu *vcpu, enum run_exit *exit, u64 *most);

/* How an engine moves on, and what it does of its own when an instruction is unwound. */
struct loop_ops {
	enum run_exit (*run_blocks)(struct vcpu *vcpu);
	void (*catch_fault)(struct vcpu *vcpu);
};
/* engine_ops.run, with an engine's own parts. */
enum run_exit loop_run(struct vcpu *vcpu, u64 insns, const struct loop_ops *ops);

/* What software engines have nothing to do for: their vCPUs' state is struct cpu, and they look at pending by themselves. */
enum status loop_machine_attach(struct machine *machine);
void loop_machine_detach(struct machine *machine);
void loop_kick(struct vcpu *vcpu);
void loop_pull_state(struct vcpu *vcpu);
/* Code may be other code now. */
void loop_push_state(struct vcpu *vcpu);

#endif
