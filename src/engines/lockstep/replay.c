/* SPDX-License-Identifier: MIT */
/*
 * The follower's environment: answers come from the journal, and nothing reaches a device. Whoever asks for something else than
 * the leader did has strayed: the answer is then zero, and the window ends.
 */
#include "base/atomic.h"
#include "base/memory.h"
#include "engines/lockstep/lockstep.h"
#include "x86/paging.h"

static void stop(struct cpu *cpu)
{
	atomic_or_32(&cpu->pending, PENDING_STOP);
	cpu_end_block(cpu);
}

static void stray(struct side *side, const struct input *asked)
{
	if (!side->has_strayed)
		side->strayed = *asked;
	side->has_strayed = true;
	stop(&side->vcpu->cpu);
}

static bool kind_writes(unsigned kind)
{
	return kind == INPUT_PHYSICAL_WRITE || kind == INPUT_PORT_WRITE ||
		kind == INPUT_MSR_WRITE || kind == INPUT_TASK_PRIORITY_SET ||
		kind == INPUT_TSC_MOVE;
}

static bool asks_alike(const struct input *a, const struct input *b)
{
	return a->kind == b->kind && a->address == b->address && a->bytes == b->bytes &&
		(!kind_writes(a->kind) || a->value[0] == b->value[0]);
}

/* The journal's next input, which should be the one asked for. */
static const struct input *answer(struct cpu *cpu, struct input asked)
{
	static const struct input none;
	struct side *side = side_of(cpu);
	const struct journal *journal = side->lockstep->journal;
	const struct input *next = &journal->inputs[side->input_at];

	asked.insns = side_insns(side);
	if (side->has_strayed || side->input_at == journal->input_count ||
		!asks_alike(next, &asked)) {
		stray(side, &asked);
		return &none;
	}
	side->input_at++;
	ram_replay_pages(side, next);
	if (next->ends_window)
		stop(cpu);
	return next;
}

static u64 replay_physical_read(struct cpu *cpu, u64 physical, unsigned bytes)
{
	return answer(cpu,
		(struct input){
			.kind = INPUT_PHYSICAL_READ, .address = physical, .bytes = (u8)bytes})
		->value[0];
}

static void replay_physical_write(struct cpu *cpu, u64 physical, unsigned bytes, u64 value)
{
	answer(cpu,
		(struct input){.kind = INPUT_PHYSICAL_WRITE,
			.address = physical,
			.bytes = (u8)bytes,
			.value = {value}});
}

static u32 replay_port_read(struct cpu *cpu, u16 port, unsigned bytes)
{
	return (u32)answer(
		cpu, (struct input){.kind = INPUT_PORT_READ, .address = port, .bytes = (u8)bytes})
		->value[0];
}

static void replay_port_write(struct cpu *cpu, u16 port, unsigned bytes, u32 value)
{
	answer(cpu,
		(struct input){.kind = INPUT_PORT_WRITE,
			.address = port,
			.bytes = (u8)bytes,
			.value = {value}});
}

static bool replay_msr_read(struct cpu *cpu, u32 index, u64 *value)
{
	const struct input *input =
		answer(cpu, (struct input){.kind = INPUT_MSR_READ, .address = index});
	*value = input->value[0];
	return input->ok;
}

static bool replay_msr_write(struct cpu *cpu, u32 index, u64 value)
{
	return answer(
		cpu, (struct input){.kind = INPUT_MSR_WRITE, .address = index, .value = {value}})
		->ok;
}

/* Only ever asked where the leader took one: replay_on sets PENDING_INTERRUPT there. */
static int replay_interrupt_acknowledge(struct cpu *cpu)
{
	struct side *side = side_of(cpu);
	const struct journal *journal = side->lockstep->journal;

	atomic_and_32(&cpu->pending, ~(u32)PENDING_INTERRUPT);
	if (side->taking_at == journal->taking_count)
		return -1;
	const struct taking *taking = &journal->takings[side->taking_at++];
	if (!taking->has_event)
		atomic_and_32(&cpu->pending, ~(u32)PENDING_SMI);
	return taking->vector;
}

static u8 replay_task_priority_get(struct cpu *cpu)
{
	return (u8)answer(cpu, (struct input){.kind = INPUT_TASK_PRIORITY_GET})->value[0];
}

static void replay_task_priority_set(struct cpu *cpu, u8 priority)
{
	answer(cpu, (struct input){.kind = INPUT_TASK_PRIORITY_SET, .value = {priority}});
}

static u64 replay_tsc_read(struct cpu *cpu)
{
	return answer(cpu, (struct input){.kind = INPUT_TSC_READ})->value[0];
}

static void replay_tsc_move(struct cpu *cpu, u64 by)
{
	answer(cpu, (struct input){.kind = INPUT_TSC_MOVE, .value = {by}});
}

static bool replay_random(struct cpu *cpu, u64 *value)
{
	const struct input *input = answer(cpu, (struct input){.kind = INPUT_RANDOM});
	*value = input->value[0];
	return input->ok;
}

static bool replay_cpuid(struct cpu *cpu, u32 leaf, u32 subleaf, u32 result[4])
{
	const struct input *input = answer(
		cpu, (struct input){.kind = INPUT_CPUID, .address = (u64)leaf << 32 | subleaf});
	memcpy(result, input->value, sizeof(input->value));
	return input->ok;
}

static void replay_fpu_error(struct cpu *cpu)
{
	answer(cpu, (struct input){.kind = INPUT_FPU_ERROR});
}

static void replay_activity_changed(struct cpu *cpu)
{
	cpu_end_block(cpu);
}

static void replay_pause(struct cpu *cpu) {}

void replay_environment(struct environment *environment)
{
	*environment = (struct environment){
		.ram_page = ram_page_of,
		.physical_read = replay_physical_read,
		.physical_write = replay_physical_write,
		.code_written = ram_code_written,
		.port_read = replay_port_read,
		.port_write = replay_port_write,
		.msr_read = replay_msr_read,
		.msr_write = replay_msr_write,
		.interrupt_acknowledge = replay_interrupt_acknowledge,
		.task_priority_get = replay_task_priority_get,
		.task_priority_set = replay_task_priority_set,
		.tsc_read = replay_tsc_read,
		.tsc_move = replay_tsc_move,
		.random = replay_random,
		.cpuid = replay_cpuid,
		.activity_changed = replay_activity_changed,
		.pause = replay_pause,
		.fpu_error = replay_fpu_error,
	};
}

void replay_set_state(struct side *side, const struct vcpu *from)
{
	struct vcpu *to = side->vcpu;
	u32 engine = atomic_load_32(&to->cpu.pending) & PENDING_ENGINE;

	compare_copy_state(to, from);
	to->cpu.pending = (from->cpu.pending & PENDING_TRAP) | engine;
	paging_flush(&to->cpu);
	cpu_mode_changed(&to->cpu);
	side->ops->push_state(to);
}

/* ---- a window ---------------------------------------------------------------------------------------- */

/*
 * What waited for the leader makes repeated instructions pause: PENDING_SMI, which nobody takes, stands for it. What it took at the
 * window's start is taken there.
 */
void replay_begin(struct side *side)
{
	const struct lockstep *lockstep = side->lockstep;

	side->base = side_insns(side);
	side->input_at = side->taking_at = 0;
	side->has_strayed = false;
	atomic_or_32(&side->vcpu->cpu.pending,
		lockstep->taken_events | (lockstep->had_event ? PENDING_SMI : 0));
}

u64 replay_next_taking(const struct side *side)
{
	const struct lockstep *lockstep = side->lockstep;

	if (side->taking_at == lockstep->journal->taking_count)
		return ~(u64)0;
	return lockstep->journal->takings[side->taking_at].insns - lockstep->leader_start;
}

/* To `until`, or to the leader's next interrupt, which is then taken, with one instruction after it. False: no further. */
static bool replay_step(struct side *side, u64 until)
{
	struct vcpu *vcpu = side->vcpu;
	u64 before = side_insns(side) - side->base, taking = replay_next_taking(side);
	u32 taking_at = side->taking_at;

	if (taking == before) {
		atomic_or_32(&vcpu->cpu.pending, PENDING_INTERRUPT);
		until = before + 1;
	} else {
		until = MIN(until, taking);
	}
	enum run_exit exit = side->ops->run(vcpu, until - before);
	atomic_and_32(&vcpu->cpu.pending, ~(u32)(PENDING_STOP | PENDING_INTERRUPT));
	if (side->has_strayed || (taking == before && side->taking_at == taking_at))
		return false;
	if (exit == RUN_STOPPED)
		return side_insns(side) - side->base > before || side->taking_at > taking_at;
	return side->taking_at > taking_at;
}

bool replay_rewind(struct lockstep *lockstep)
{
	if (!ram_undo(lockstep))
		return false;
	replay_set_state(&lockstep->follower, lockstep->start);
	replay_begin(&lockstep->follower);
	return true;
}

bool replay_on(struct side *side, u64 insns, bool to_the_end)
{
	for (;;) {
		u64 done = side_insns(side) - side->base, taking = replay_next_taking(side);
		bool is_due = taking == done && (done < insns || to_the_end);
		if (done >= insns && !is_due)
			break;
		if (!replay_step(side, insns))
			break;
	}
	atomic_and_32(&side->vcpu->cpu.pending, ~PENDING_EVENTS);
	return !side->has_strayed && side_insns(side) - side->base == insns;
}
