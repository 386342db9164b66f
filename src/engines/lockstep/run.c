/* SPDX-License-Identifier: MIT */
/* The engine: windows, one after the other. */
#include "base/atomic.h"
#include "base/check.h"
#include "base/memory.h"
#include "engines/lockstep/lockstep.h"
#include "x86/flags.h"

static struct lockstep_settings settings;

void lockstep_configure(const struct lockstep_settings *wanted)
{
	check(wanted->leader && wanted->follower && wanted->window_insns);
	settings = *wanted;
}

static enum status probe(struct error *error)
{
	enum status status = settings.leader->probe(error);
	return status == STATUS_OK ? settings.follower->probe(error) : status;
}

static enum status machine_attach(struct machine *machine)
{
	machine->counts_insns = true;
	return settings.leader->machine_attach(machine);
}

static void machine_detach(struct machine *machine)
{
	settings.leader->machine_detach(machine);
}

/* ---- a processor and its shadow ---------------------------------------------------------------------- */

static void watch_all(struct machine *machine, int by)
{
	for (u64 page = 0; page < machine->memory.bytes >> PAGE_SHIFT; page++)
		__atomic_fetch_add(&machine->memory.page_watchers[page], by, __ATOMIC_SEQ_CST);
}

static void side_init(struct side *side, struct lockstep *lockstep, const struct engine_ops *ops,
	struct vcpu *vcpu)
{
	side->lockstep = lockstep;
	side->ops = ops;
	side->vcpu = vcpu;
	vcpu->cpu.environment = &side->environment;
	/* Page tables are read by ram_page, too, and repeated instructions pause for nothing that only one side has. */
	memset(vcpu->cpu.ram, 0, sizeof(vcpu->cpu.ram));
	vcpu->cpu.pending_waits = ~(u32)PENDING_TRAP;
}

/* The follower's machine has no devices, and the leader's parameters. */
static enum status make_shadow(struct lockstep *lockstep, const struct vcpu *vcpu)
{
	struct machine_parameters parameters = {
		.engine = lockstep->settings.follower,
		.ram = lockstep->shadow_ram,
		.ram_bytes = vcpu->machine->memory.bytes,
		.clock = CLOCK_INSTRUCTIONS,
		.tsc_hz = vcpu->machine->clock.tsc_hz,
		.model = vcpu->cpu.model,
		.vcpu_count = 1,
	};

	return machine_init(lockstep->shadow, &parameters);
}

struct part {
	void **at;
	u64 bytes;
};

static bool get_parts(struct lockstep *lockstep, u64 ram_bytes, bool put)
{
	struct part parts[] = {
		{(void **)&lockstep->shadow, sizeof(struct machine)},
		{(void **)&lockstep->shadow_ram, ram_bytes},
		{(void **)&lockstep->shared, (ram_bytes >> PAGE_SHIFT) / 8 + 1},
		{(void **)&lockstep->writable, (ram_bytes >> PAGE_SHIFT) / 8 + 1},
		{(void **)&lockstep->journal, sizeof(struct journal)},
		{(void **)&lockstep->stores, sizeof(struct stores)},
		{(void **)&lockstep->start, sizeof(struct vcpu)},
	};
	bool all = true;

	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
		if (put && *parts[i].at)
			host_memory_put(*parts[i].at, parts[i].bytes);
		else if (!put)
			all &= !!(*parts[i].at = host_memory_get(parts[i].bytes));
	}
	return all;
}

static void lockstep_put(struct lockstep *lockstep, u64 ram_bytes)
{
	get_parts(lockstep, ram_bytes, true);
	host_memory_put(lockstep, sizeof(*lockstep));
}

/* The leader is attached first: what its engine does with the processor then goes to the machine itself. */
static enum status join(struct lockstep *lockstep, struct vcpu *vcpu)
{
	enum status status = lockstep->settings.leader->vcpu_attach(vcpu);

	if (status != STATUS_OK)
		return status;
	status = make_shadow(lockstep, vcpu);
	if (status != STATUS_OK) {
		lockstep->settings.leader->vcpu_detach(vcpu);
		return status;
	}
	lockstep->machine_environment = vcpu->cpu.environment;
	side_init(&lockstep->leader, lockstep, lockstep->settings.leader, vcpu);
	side_init(&lockstep->follower, lockstep, lockstep->settings.follower,
		lockstep->shadow->vcpus[0]);
	record_environment(&lockstep->leader.environment);
	replay_environment(&lockstep->follower.environment);
	vcpu->signals = &lockstep->signals;
	watch_all(vcpu->machine, 1);
	return STATUS_OK;
}

static enum status vcpu_attach(struct vcpu *vcpu)
{
	u64 ram_bytes = vcpu->machine->memory.bytes;
	enum status status = STATUS_NO_MEMORY;

	if (vcpu->index)
		return STATUS_UNSUPPORTED;
	struct lockstep *lockstep = host_memory_get(sizeof(*lockstep));
	if (!lockstep)
		return STATUS_NO_MEMORY;
	lockstep->settings = settings;
	lockstep->needs_copy = true;
	host_lock_init(&lockstep->written_lock);
	if (get_parts(lockstep, ram_bytes, false))
		status = join(lockstep, vcpu);
	if (status != STATUS_OK)
		lockstep_put(lockstep, ram_bytes);
	return status;
}

static void vcpu_detach(struct vcpu *vcpu)
{
	struct lockstep *lockstep = lockstep_of(vcpu);

	vcpu->cpu.environment = lockstep->machine_environment;
	vcpu->signals = &vcpu->cpu.pending;
	watch_all(vcpu->machine, -1);
	lockstep->settings.leader->vcpu_detach(vcpu);
	machine_fini(lockstep->shadow);
	lockstep_put(lockstep, vcpu->machine->memory.bytes);
}

static void memory_changed(struct machine *machine, u64 gpa, u64 bytes, struct vcpu *by)
{
	u64 offset;

	if (!machine->vcpu_count || !memory_offset(&machine->memory, gpa, bytes, &offset))
		return;
	struct lockstep *lockstep = lockstep_of(machine->vcpus[0]);
	for (u64 at = align_down(offset, PAGE_SIZE); !by && at < offset + bytes; at += PAGE_SIZE)
		ram_note_written(lockstep, at);
	lockstep->settings.leader->memory_changed(machine, gpa, bytes, by);
}

/* ---- windows ----------------------------------------------------------------------------------------- */

static void begin_window(struct lockstep *lockstep)
{
	if (lockstep->needs_copy)
		replay_set_state(&lockstep->follower, lockstep->leader.vcpu);
	lockstep->needs_copy = false;
	ram_copy_written(lockstep);
	memcpy(&lockstep->start->cpu, &lockstep->leader.vcpu->cpu, offsetof(struct cpu, tlb));
	lockstep->leader_start = side_insns(&lockstep->leader);
	lockstep->journal->input_count = lockstep->journal->taking_count = 0;
	lockstep->journal->page_count = 0;
	lockstep->journal->is_overrun = false;
	lockstep->stores->count = lockstep->stores->bytes_used = 0;
	lockstep->stores->is_overrun = false;
	lockstep->taken_events = 0;
}

/* The leader's part. Returns how many instructions the window has. */
static u64 lead(struct lockstep *lockstep, u64 insns, enum run_exit *exit)
{
	struct vcpu *vcpu = lockstep->leader.vcpu;
	u32 events = atomic_load_32(&vcpu->cpu.pending) & PENDING_EVENTS;

	lockstep->had_event = events;
	lockstep->has_ended_window = false;
	lockstep->follows = true;
	*exit = lockstep->leader.ops->run(vcpu, events ? 1 : insns);
	lockstep->follows = false;
	if (lockstep->has_ended_window)
		atomic_and_32(&vcpu->cpu.pending, ~(u32)PENDING_STOP);
	lockstep->taken_events |= events & ~atomic_load_32(&vcpu->cpu.pending) &
		(PENDING_NMI | PENDING_INIT | PENDING_SIPI);
	return side_insns(&lockstep->leader) - lockstep->leader_start;
}

/* The journal was too small: the follower is put where the leader is. */
static void skip_window(struct lockstep *lockstep)
{
	host_log(LOG_WARNING, "lockstep: a window had too many inputs, and is not compared");
	ram_copy_all(lockstep);
	lockstep->needs_copy = true;
}

/* Undefined flags may differ; from here on they are the leader's. */
static bool excuse_flags(struct lockstep *lockstep, u64 insns)
{
	struct cpu *cpu = &lockstep->follower.vcpu->cpu;
	packed_flags wanted = lockstep->leader.vcpu->cpu.arithmetic_flags;
	u32 differing = (u32)(cpu->arithmetic_flags ^ wanted);

	if (differing & ~compare_undefined_flags(lockstep, insns))
		return false;
	cpu->arithmetic_flags = wanted;
	return true;
}

static bool memory_is_due(struct lockstep *lockstep, enum run_exit exit)
{
	u64 now = side_insns(&lockstep->leader);

	if (exit != RUN_SHUTDOWN &&
		now - lockstep->memory_checked_at < lockstep->settings.memory_insns)
		return false;
	lockstep->memory_checked_at = now;
	return true;
}

static struct finding compare_window(struct lockstep *lockstep, u64 insns, enum run_exit exit)
{
	const struct vcpu *leader = lockstep->leader.vcpu, *follower = lockstep->follower.vcpu;
	struct finding finding = {.insns = insns};

	finding.field = compare_states(leader, follower, &finding.index);
	if (finding.field && compare_is_flags(finding.field) && excuse_flags(lockstep, insns))
		finding.field = compare_states(leader, follower, &finding.index);
	if (finding.field)
		finding.kind = DIFFERENCE_STATE;
	ram_copy_written(lockstep);
	if (!finding.kind && ram_stores_differ(lockstep, &finding.offset))
		finding.kind = DIFFERENCE_STORE;
	if (!finding.kind && memory_is_due(lockstep, exit) &&
		ram_pages_differ(lockstep, &finding.offset))
		finding.kind = DIFFERENCE_MEMORY;
	return finding;
}

static struct finding follow(struct lockstep *lockstep, u64 insns, enum run_exit exit)
{
	struct side *follower = &lockstep->follower;
	bool to_the_end = exit != RUN_STOPPED;

	if (lockstep->journal->is_overrun) {
		skip_window(lockstep);
		return (struct finding){0};
	}
	if (!lockstep->is_open)
		replay_begin(follower);
	if (!replay_on(follower, insns, to_the_end) ||
		(follower->input_at < lockstep->journal->input_count))
		return (struct finding){.kind = DIFFERENCE_PATH, .insns = insns};
	/* An interrupt after the window's last instruction: the follower takes it before the next one. */
	lockstep->is_open = replay_next_taking(follower) == insns;
	if (lockstep->is_open)
		return (struct finding){0};
	return compare_window(lockstep, insns, exit);
}

static enum run_exit run(struct vcpu *vcpu, u64 insns)
{
	struct lockstep *lockstep = lockstep_of(vcpu);

	for (;;) {
		record_signals(lockstep);
		if (!insns || (atomic_load_32(&vcpu->cpu.pending) & PENDING_STOP))
			return RUN_STOPPED;
		u64 before = side_insns(&lockstep->leader);
		u64 most = MIN(insns, lockstep->settings.window_insns);
		enum run_exit exit;
		if (!lockstep->is_open)
			begin_window(lockstep);
		u64 length = lead(lockstep, most, &exit);
		struct finding finding = follow(lockstep, length, exit);
		if (finding.kind) {
			report_difference(lockstep, &finding);
			machine_end(vcpu->machine, MACHINE_FAULT, 0);
			return RUN_STOPPED;
		}
		u64 ran = side_insns(&lockstep->leader) - before;
		insns -= MIN(insns, ran);
		/* Stopped with nothing done: a debugger wants it. */
		if (exit != RUN_STOPPED || (!ran && !lockstep->has_ended_window)) {
			record_signals(lockstep);
			return exit;
		}
	}
}

static u64 insns_retired(struct vcpu *vcpu)
{
	return side_insns(side_of(&vcpu->cpu));
}

/* The leader looks soon enough: a window is short. */
static void kick(struct vcpu *vcpu) {}

static void pull_state(struct vcpu *vcpu)
{
	lockstep_of(vcpu)->leader.ops->pull_state(vcpu);
}

static void push_state(struct vcpu *vcpu)
{
	struct lockstep *lockstep = lockstep_of(vcpu);

	lockstep->needs_copy = true;
	lockstep->is_open = false;
	atomic_or_32(&lockstep->signals, atomic_load_32(&vcpu->cpu.pending) & PENDING_EVENTS);
	lockstep->leader.ops->push_state(vcpu);
}

const struct engine_ops engine_lockstep = {
	.name = "lockstep",
	.needs_code_memory = true, /* the leader may */
	.probe = probe,
	.machine_attach = machine_attach,
	.machine_detach = machine_detach,
	.vcpu_attach = vcpu_attach,
	.vcpu_detach = vcpu_detach,
	.memory_changed = memory_changed,
	.run = run,
	.insns_retired = insns_retired,
	.kick = kick,
	.pull_state = pull_state,
	.push_state = push_state,
};
