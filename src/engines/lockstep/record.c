/* SPDX-License-Identifier: MIT */
/*
 * The leader's environment: the machine's own, with every answer noted. What comes from outside is kept back until a window's
 * end, so that it reaches both processors between the same two instructions.
 */
#include "base/atomic.h"
#include "engines/lockstep/lockstep.h"

static const struct environment *machine_of(struct cpu *cpu)
{
	return side_of(cpu)->lockstep->machine_environment;
}

static void end_window(struct lockstep *lockstep)
{
	struct cpu *cpu = &lockstep->leader.vcpu->cpu;

	lockstep->has_ended_window = true;
	atomic_or_32(&cpu->pending, PENDING_STOP);
	cpu_end_block(cpu);
	lockstep->leader.ops->kick(lockstep->leader.vcpu);
}

static bool waits_for_window_end(const struct lockstep *lockstep)
{
	u32 pending = atomic_load_32(&lockstep->leader.vcpu->cpu.pending);

	return (atomic_load_32(&lockstep->signals) & ~pending) ||
		lockstep->journal->input_count > INPUTS_MAX - INPUTS_SPARE;
}

static void note(struct cpu *cpu, struct input *input)
{
	struct side *side = side_of(cpu);
	struct lockstep *lockstep = side->lockstep;
	struct journal *journal = lockstep->journal;

	if (!lockstep->follows) /* a debugger looks */
		return;
	input->insns = side_insns(side);
	if (ram_has_written(lockstep))
		ram_journal_written(lockstep, input);
	if (waits_for_window_end(lockstep)) {
		input->ends_window = true;
		end_window(lockstep);
	}
	if (journal->input_count == INPUTS_MAX)
		journal->is_overrun = true;
	else
		journal->inputs[journal->input_count++] = *input;
}

static u64 record_physical_read(struct cpu *cpu, u64 physical, unsigned bytes)
{
	struct input input = {.kind = INPUT_PHYSICAL_READ, .address = physical, .bytes = (u8)bytes};
	input.value[0] = machine_of(cpu)->physical_read(cpu, physical, bytes);
	note(cpu, &input);
	return input.value[0];
}

static void record_physical_write(struct cpu *cpu, u64 physical, unsigned bytes, u64 value)
{
	struct input input = {.kind = INPUT_PHYSICAL_WRITE,
		.address = physical,
		.bytes = (u8)bytes,
		.value = {value}};
	machine_of(cpu)->physical_write(cpu, physical, bytes, value);
	note(cpu, &input);
}

static u32 record_port_read(struct cpu *cpu, u16 port, unsigned bytes)
{
	struct input input = {.kind = INPUT_PORT_READ, .address = port, .bytes = (u8)bytes};
	input.value[0] = machine_of(cpu)->port_read(cpu, port, bytes);
	note(cpu, &input);
	return (u32)input.value[0];
}

static void record_port_write(struct cpu *cpu, u16 port, unsigned bytes, u32 value)
{
	struct input input = {
		.kind = INPUT_PORT_WRITE, .address = port, .bytes = (u8)bytes, .value = {value}};
	machine_of(cpu)->port_write(cpu, port, bytes, value);
	note(cpu, &input);
}

static bool record_msr_read(struct cpu *cpu, u32 index, u64 *value)
{
	struct input input = {.kind = INPUT_MSR_READ, .address = index, .value = {*value}};
	input.ok = machine_of(cpu)->msr_read(cpu, index, &input.value[0]);
	note(cpu, &input);
	*value = input.value[0];
	return input.ok;
}

static bool record_msr_write(struct cpu *cpu, u32 index, u64 value)
{
	struct input input = {.kind = INPUT_MSR_WRITE, .address = index, .value = {value}};
	input.ok = machine_of(cpu)->msr_write(cpu, index, value);
	note(cpu, &input);
	return input.ok;
}

static int record_interrupt_acknowledge(struct cpu *cpu)
{
	struct side *side = side_of(cpu);
	struct lockstep *lockstep = side->lockstep;
	struct journal *journal = lockstep->journal;
	int vector = machine_of(cpu)->interrupt_acknowledge(cpu);

	if (!(atomic_load_32(&lockstep->signals) & PENDING_INTERRUPT))
		atomic_and_32(&cpu->pending, ~(u32)PENDING_INTERRUPT);
	if (journal->taking_count == TAKINGS_MAX)
		journal->is_overrun = true;
	else
		journal->takings[journal->taking_count++] =
			(struct taking){.insns = side_insns(side),
				.vector = vector,
				.has_event = atomic_load_32(&cpu->pending) & PENDING_EVENTS};
	return vector;
}

static u8 record_task_priority_get(struct cpu *cpu)
{
	struct input input = {.kind = INPUT_TASK_PRIORITY_GET};
	input.value[0] = machine_of(cpu)->task_priority_get(cpu);
	note(cpu, &input);
	return (u8)input.value[0];
}

static void record_task_priority_set(struct cpu *cpu, u8 priority)
{
	struct input input = {.kind = INPUT_TASK_PRIORITY_SET, .value = {priority}};
	machine_of(cpu)->task_priority_set(cpu, priority);
	note(cpu, &input);
}

static u64 record_tsc_read(struct cpu *cpu)
{
	struct input input = {.kind = INPUT_TSC_READ};
	input.value[0] = machine_of(cpu)->tsc_read(cpu);
	note(cpu, &input);
	return input.value[0];
}

static void record_tsc_move(struct cpu *cpu, u64 by)
{
	struct input input = {.kind = INPUT_TSC_MOVE, .value = {by}};
	machine_of(cpu)->tsc_move(cpu, by);
	note(cpu, &input);
}

static bool record_random(struct cpu *cpu, u64 *value)
{
	struct input input = {.kind = INPUT_RANDOM, .value = {*value}};
	input.ok = machine_of(cpu)->random(cpu, &input.value[0]);
	note(cpu, &input);
	*value = input.value[0];
	return input.ok;
}

static bool record_cpuid(struct cpu *cpu, u32 leaf, u32 subleaf, u32 result[4])
{
	struct input input = {.kind = INPUT_CPUID, .address = (u64)leaf << 32 | subleaf};
	input.ok = machine_of(cpu)->cpuid(cpu, leaf, subleaf, result);
	input.value[0] = (u64)result[1] << 32 | result[0];
	input.value[1] = (u64)result[3] << 32 | result[2];
	note(cpu, &input);
	return input.ok;
}

static void record_fpu_error(struct cpu *cpu)
{
	struct input input = {.kind = INPUT_FPU_ERROR};
	machine_of(cpu)->fpu_error(cpu);
	note(cpu, &input);
}

static void record_activity_changed(struct cpu *cpu)
{
	machine_of(cpu)->activity_changed(cpu);
}

static void record_pause(struct cpu *cpu)
{
	machine_of(cpu)->pause(cpu);
}

void record_environment(struct environment *environment)
{
	*environment = (struct environment){
		.ram_page = ram_page_of,
		.physical_read = record_physical_read,
		.physical_write = record_physical_write,
		.code_written = ram_code_written,
		.port_read = record_port_read,
		.port_write = record_port_write,
		.msr_read = record_msr_read,
		.msr_write = record_msr_write,
		.interrupt_acknowledge = record_interrupt_acknowledge,
		.task_priority_get = record_task_priority_get,
		.task_priority_set = record_task_priority_set,
		.tsc_read = record_tsc_read,
		.tsc_move = record_tsc_move,
		.random = record_random,
		.cpuid = record_cpuid,
		.activity_changed = record_activity_changed,
		.pause = record_pause,
		.fpu_error = record_fpu_error,
	};
}

/* PENDING_INTERRUPT is a level and stays in signals; the others have been seen. */
void record_signals(struct lockstep *lockstep)
{
	u32 signals =
		__atomic_fetch_and(&lockstep->signals, (u32)PENDING_INTERRUPT, __ATOMIC_SEQ_CST);
	u32 *pending = &lockstep->leader.vcpu->cpu.pending;

	if (!(signals & PENDING_INTERRUPT))
		atomic_and_32(pending, ~(u32)PENDING_INTERRUPT);
	atomic_or_32(pending, signals);
}
