/* SPDX-License-Identifier: MIT */
/*
 * The interpreter: the reference for all other engines. One decoded instruction after the other; between blocks it
 * looks at what is pending.
 */
#include "core/machine.h"
#include "engines/blocks/loop.h"
#include "x86/model.h"

#define ARENA_BYTES (12 * MIB)
#define ARENA_REGIONS 16

static enum status interpreter_probe(struct error *error)
{
	char names[128];
	struct text missing;
	text_init(&missing, names, sizeof(names));
	if (cpu_model_runs_on(cpu_model_at(0), cpu_host_features(), &missing))
		return STATUS_OK;
	return error_set(error, STATUS_UNSUPPORTED,
		"this processor lacks %s, which the engine interp needs", names);
}

static enum status vcpu_attach(struct vcpu *vcpu)
{
	struct loop *loop = host_memory_get(sizeof(*loop));
	if (!loop)
		return STATUS_NO_MEMORY;
	enum status status = loop_init(loop, vcpu, ARENA_BYTES, ARENA_REGIONS);
	if (status != STATUS_OK) {
		host_memory_put(loop, sizeof(*loop));
		return status;
	}
	vcpu->engine = loop;
	return STATUS_OK;
}

static void vcpu_detach(struct vcpu *vcpu)
{
	struct loop *loop = loop_of(vcpu);
	loop_fini(loop);
	host_memory_put(loop, sizeof(*loop));
	vcpu->engine = NULL;
}

static no_inline enum run_exit run_blocks(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;
	struct loop *loop = loop_of(vcpu);
	enum run_exit exit;
	u64 most;
	while (loop_before_block(vcpu, &exit, &most)) {
		if (unlikely(!most))
			continue;
		const struct block *block = block_find(&loop->cache);
		loop_run_block(cpu, loop, block, MIN(block->count, most));
	}
	return exit;
}

static enum run_exit interpreter_run(struct vcpu *vcpu, u64 insns)
{
	static const struct loop_ops ops = {run_blocks, loop_catch_fault};
	return loop_run(vcpu, insns, &ops);
}

static u64 insns_retired(struct vcpu *vcpu)
{
	return loop_insns_retired(vcpu);
}

const struct engine_ops engine_interpreter = {
	.name = "interp",
	.probe = interpreter_probe,
	.machine_attach = loop_machine_attach,
	.machine_detach = loop_machine_detach,
	.vcpu_attach = vcpu_attach,
	.vcpu_detach = vcpu_detach,
	.memory_changed = loop_memory_changed,
	.run = interpreter_run,
	.insns_retired = insns_retired,
	.kick = loop_kick,
	.pull_state = loop_pull_state,
	.push_state = loop_push_state,
};
