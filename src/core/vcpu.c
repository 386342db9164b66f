/* SPDX-License-Identifier: MIT */
/* A vCPU: its environment, its life on its thread, its state. */
#include "core/vcpu.h"
#include "base/atomic.h"
#include "core/machine.h"
#include "core/trace.h"
#include "core/tracer.h"
#include "x86/environment.h"
#include "x86/exceptions.h"
#include "x86/fpu.h"
#include "x86/model.h"
#include "x86/paging.h"

/*
 * How much runs between two pauses of a slowed engine: so little that the pauses stay well below the 10 ms in which kernels
 * calibrate, as they would on a processor that is slow all the time.
 */
#define SLOWED_RUN_INSNS \
	2500 /* how much runs between two pauses of a slowed engine: shorter than what kernels time by */

/* ---- time under CLOCK_INSTRUCTIONS ---- */

static bool counts_insns(const struct vcpu *vcpu)
{
	return vcpu->machine->clock.kind == CLOCK_INSTRUCTIONS;
}

/* Brings the clock to the instruction that executes now. */
static void sync_clock(struct vcpu *vcpu)
{
	if (!counts_insns(vcpu))
		return;
	u64 count = vcpu->machine->engine->insns_retired(vcpu);
	clock_advance(&vcpu->machine->clock, count - vcpu->insns_timed);
	vcpu->insns_timed = count;
}

/*
 * An instruction has changed a device: whatever follows from it (an interrupt, an earlier deadline) is to happen
 * right after this instruction, wherever its block ends; so a machine saved in between goes on the same way.
 */
static void end_block_if_counting(struct vcpu *vcpu)
{
	if (counts_insns(vcpu))
		cpu_end_block(&vcpu->cpu);
}

/* The instruction clock's run was to last until `deadline`: an earlier event now ends it after this instruction. */
static void stop_at_earlier_event(struct vcpu *vcpu, u64 deadline)
{
	if (!counts_insns(vcpu) || events_next_deadline(vcpu->machine) >= deadline)
		return;
	atomic_or_32(vcpu->signals, PENDING_STOP);
	cpu_end_block(&vcpu->cpu);
}

static no_inline void trace_access(struct vcpu *vcpu, const struct bus_access *access)
{
	static const char *const spaces[BUS_SPACES][2] = {[BUS_MEMORY] = {"of", "to"},
		[BUS_PORT] = {"of port", "to port"},
		[BUS_MSR] = {"of MSR", "to MSR"}};

	tracer_event(vcpu, true, "%u-byte %s %s %lx: %lx", access->size,
		access->is_write ? "write" : "read", spaces[access->space][access->is_write],
		access->address, access->value);
}

static bool dispatch(struct vcpu *vcpu, struct bus_access *access)
{
	sync_clock(vcpu);
	access->vcpu = vcpu;
	u64 deadline = events_next_deadline(vcpu->machine);
	bool ok = bus_dispatch(vcpu->machine, access);
	if (unlikely(vcpu->machine->tracer))
		trace_access(vcpu, access);
	stop_at_earlier_event(vcpu, deadline);
	return ok;
}

/* ---- the environment ---- */

static u8 *env_ram_page(struct cpu *cpu, u64 physical, enum page_use use, bool *watched)
{
	struct vcpu *vcpu = vcpu_of(cpu);
	struct memory *memory = &vcpu->machine->memory;
	u64 offset;
	if (!memory_offset(memory, physical, PAGE_SIZE, &offset))
		return NULL;
	bool begins = use == PAGE_WRITE && memory_writer_begin(memory, offset, vcpu->index);
	*watched = memory_is_watched(memory, offset);
	if (begins && *watched) /* all that it writes is announced */
		memory_writer_end(memory, offset, vcpu->index);
	return memory->host + offset;
}

static u64 env_physical_read(struct cpu *cpu, u64 physical, unsigned bytes)
{
	struct bus_access access = {.space = BUS_MEMORY, .address = physical, .size = bytes};
	dispatch(vcpu_of(cpu), &access);
	return access.value;
}

static void env_physical_write(struct cpu *cpu, u64 physical, unsigned bytes, u64 value)
{
	struct bus_access access = {.space = BUS_MEMORY,
		.address = physical,
		.size = bytes,
		.is_write = true,
		.value = value};
	dispatch(vcpu_of(cpu), &access);
}

static void env_code_written(struct cpu *cpu, u64 physical, u64 bytes)
{
	struct machine *machine = vcpu_of(cpu)->machine;
	machine->engine->memory_changed(machine, physical, bytes, vcpu_of(cpu));
}

static u32 env_port_read(struct cpu *cpu, u16 port, unsigned bytes)
{
	struct bus_access access = {.space = BUS_PORT, .address = port, .size = bytes};
	dispatch(vcpu_of(cpu), &access);
	return (u32)access.value;
}

static void env_port_write(struct cpu *cpu, u16 port, unsigned bytes, u32 value)
{
	struct bus_access access = {.space = BUS_PORT,
		.address = port,
		.size = bytes,
		.is_write = true,
		.value = value};
	dispatch(vcpu_of(cpu), &access);
}

static bool env_msr_read(struct cpu *cpu, u32 index, u64 *value)
{
	struct bus_access access = {.space = BUS_MSR, .address = index, .size = 8};
	if (!dispatch(vcpu_of(cpu), &access)) {
		trace("no MSR %x (read)", index);
		return false;
	}
	*value = access.value;
	return true;
}

static bool env_msr_write(struct cpu *cpu, u32 index, u64 value)
{
	struct bus_access access = {
		.space = BUS_MSR, .address = index, .size = 8, .is_write = true, .value = value};
	if (dispatch(vcpu_of(cpu), &access))
		return true;
	trace("no MSR %x, or it refused %lx", index, value);
	return false;
}

static int env_interrupt_acknowledge(struct cpu *cpu)
{
	const struct apic *apic = &vcpu_of(cpu)->apic;
	int vector = apic->ops ? apic->ops->acknowledge(apic->object) : -1;
	if (vector >= 0)
		trace_event(vcpu_of(cpu), false, "interrupt %d", vector);
	return vector;
}

static u8 env_task_priority_get(struct cpu *cpu)
{
	const struct apic *apic = &vcpu_of(cpu)->apic;
	return apic->ops ? apic->ops->task_priority_get(apic->object) : 0;
}

static void env_task_priority_set(struct cpu *cpu, u8 priority)
{
	const struct apic *apic = &vcpu_of(cpu)->apic;
	if (apic->ops)
		apic->ops->task_priority_set(apic->object, priority);
}

static u64 env_tsc_read(struct cpu *cpu)
{
	struct vcpu *vcpu = vcpu_of(cpu);
	sync_clock(vcpu);
	return clock_tsc(&vcpu->machine->clock) + vcpu->tsc_offset;
}

static void env_tsc_move(struct cpu *cpu, u64 by)
{
	struct vcpu *vcpu = vcpu_of(cpu);
	u64 before = events_next_deadline(vcpu->machine);
	sync_clock(vcpu);
	host_lock(&vcpu->machine->lock);
	vcpu->tsc_offset += by;
	if (vcpu->apic.ops)
		vcpu->apic.ops->tsc_changed(vcpu->apic.object);
	host_unlock(&vcpu->machine->lock);
	stop_at_earlier_event(vcpu, before);
}

/*
 * More vCPUs than host processors: who holds what is waited for may not run just now. Some turns come first, since a wait is mostly
 * short and giving way is not.
 */
#define PAUSES_PER_YIELD 64

static void env_pause(struct cpu *cpu)
{
	struct vcpu *vcpu = vcpu_of(cpu);
	if (vcpu->machine->vcpu_count > 1 && ++vcpu->pauses % PAUSES_PER_YIELD == 0)
		host_yield();
}

/* Under CLOCK_INSTRUCTIONS the same run must draw the same numbers: a fixed mix of the time (splitmix64). */
static bool env_random(struct cpu *cpu, u64 *value)
{
	struct vcpu *vcpu = vcpu_of(cpu);
	if (!counts_insns(vcpu)) {
		host_random(value, sizeof(*value));
		return true;
	}
	sync_clock(vcpu);
	u64 z = (clock_now_ns(&vcpu->machine->clock) + 1) * 0x9e3779b97f4a7c15;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	*value = z ^ (z >> 31);
	return true;
}

static bool env_cpuid(struct cpu *cpu, u32 leaf, u32 subleaf, u32 result[4])
{
	struct machine *machine = vcpu_of(cpu)->machine;
	return machine->hypervisor_leaf && machine->hypervisor_leaf(machine, leaf, result);
}

static void env_activity_changed(struct cpu *cpu)
{
	if (cpu->activity == CPU_SHUTDOWN)
		trace_event(vcpu_of(cpu), false, "shutdown");
	else
		trace_event(vcpu_of(cpu), true, "halt");
	cpu_end_block(cpu);
}

static void env_fpu_error(struct cpu *cpu)
{
	struct machine *machine = vcpu_of(cpu)->machine;
	host_lock(&machine->lock);
	irq_pulse(&machine->fpu_error);
	host_unlock(&machine->lock);
}

static const struct environment vcpu_environment = {
	.ram_page = env_ram_page,
	.physical_read = env_physical_read,
	.physical_write = env_physical_write,
	.code_written = env_code_written,
	.port_read = env_port_read,
	.port_write = env_port_write,
	.msr_read = env_msr_read,
	.msr_write = env_msr_write,
	.interrupt_acknowledge = env_interrupt_acknowledge,
	.task_priority_get = env_task_priority_get,
	.task_priority_set = env_task_priority_set,
	.tsc_read = env_tsc_read,
	.tsc_move = env_tsc_move,
	.pause = env_pause,
	.random = env_random,
	.cpuid = env_cpuid,
	.activity_changed = env_activity_changed,
	.fpu_error = env_fpu_error,
};

static void ram_init(struct cpu *cpu, const struct memory *memory)
{
	cpu->ram[0] = (struct ram_window){0, memory->low_bytes, memory->host};
	cpu->ram[1] = (struct ram_window){MEMORY_HIGH_START, memory->bytes - memory->low_bytes,
		memory->host + memory->low_bytes};
}

void vcpu_init(struct vcpu *vcpu, struct machine *machine, unsigned index)
{
	static const char *const names[MACHINE_VCPUS_MAX] = {"vcpu0", "vcpu1", "vcpu2", "vcpu3",
		"vcpu4", "vcpu5", "vcpu6", "vcpu7", "vcpu8", "vcpu9", "vcpu10", "vcpu11", "vcpu12",
		"vcpu13", "vcpu14", "vcpu15", "vcpu16", "vcpu17", "vcpu18", "vcpu19", "vcpu20",
		"vcpu21", "vcpu22", "vcpu23", "vcpu24", "vcpu25", "vcpu26", "vcpu27", "vcpu28",
		"vcpu29", "vcpu30", "vcpu31"};
	vcpu->machine = machine;
	vcpu->index = index;
	vcpu->signals = &vcpu->cpu.pending;
	vcpu->cpu.environment = &vcpu_environment;
	vcpu->cpu.apic_id = index;
	vcpu->cpu.tsc_hz = machine->clock.tsc_hz;
	if (counts_insns(vcpu)) /* debug traps are the instruction's own */
		vcpu->cpu.pending_waits = ~(u32)PENDING_TRAP;
	vcpu->cpu.physical_mask = bits_mask(vcpu->cpu.model->physical_bits);
	ram_init(&vcpu->cpu, &machine->memory);
	cpu_reset(&vcpu->cpu, index == 0);
	state_register(machine, &vcpu->state, names[index], &vcpu_state, vcpu);
}

/* ---- signals from outside the vCPU ---- */

void vcpu_kick(struct vcpu *vcpu)
{
	end_block_if_counting(vcpu);
	vcpu->machine->engine->kick(vcpu);
	host_signal_raise(&vcpu->wake);
}

static void set_pending(struct vcpu *vcpu, u32 bits)
{
	u32 before = __atomic_fetch_or(vcpu->signals, bits, __ATOMIC_SEQ_CST);
	if ((before & bits) != bits)
		vcpu_kick(vcpu);
}

void vcpu_interrupt_line(struct vcpu *vcpu, bool level)
{
	if (level)
		set_pending(vcpu, PENDING_INTERRUPT);
	else
		atomic_and_32(vcpu->signals, ~(u32)PENDING_INTERRUPT);
}

void vcpu_nmi(struct vcpu *vcpu)
{
	set_pending(vcpu, PENDING_NMI);
}

void vcpu_init_signal(struct vcpu *vcpu)
{
	atomic_and_32(vcpu->signals, ~(u32)PENDING_SIPI);
	set_pending(vcpu, PENDING_INIT);
}

void vcpu_start_up(struct vcpu *vcpu, u8 vector)
{
	vcpu->cpu.sipi_vector = vector;
	set_pending(vcpu, PENDING_SIPI);
}

/* ---- its life ---- */

/* What the last run asked for. */
static void after_run(struct vcpu *vcpu, enum run_exit exit)
{
	struct machine *machine = vcpu->machine;
	if (exit == RUN_STOPPED)
		atomic_and_32(&vcpu->cpu.pending, ~(u32)PENDING_STOP);
	if (exit != RUN_SHUTDOWN)
		return;
	if (machine->no_reboot)
		machine_end(machine, MACHINE_SHUTDOWN, 0);
	else
		machine_request_reset(machine);
}

/* The first vCPU does a reset, once all others stand still. */
static void reset_if_requested(struct vcpu *vcpu)
{
	struct machine *machine = vcpu->machine;
	if (vcpu->index || !atomic_load_32(&machine->reset_requested))
		return;
	machine_wait_for_parked(machine, vcpu);
	if (machine->reset && !machine_has_ended(machine))
		machine->reset(machine);
	__atomic_store_n(&machine->reset_requested, 0, __ATOMIC_SEQ_CST);
	for (unsigned i = 1; i < machine->vcpu_count; i++)
		host_signal_raise(&machine->vcpus[i]->wake);
}

/* Idle under CLOCK_INSTRUCTIONS: time leaps to the next event; with none there is only the outside to wait for. */
static void leap_to_next_event(struct vcpu *vcpu, u64 limit_ns)
{
	struct clock *clock = &vcpu->machine->clock;
	u64 next = MIN(events_next_deadline(vcpu->machine), limit_ns);
	if (next == TIME_NEVER)
		host_signal_wait(&vcpu->wake, TIME_NEVER);
	else if (next > clock->now_ns)
		clock_advance(clock, next - clock->now_ns);
}

/* One step of at most until limit_ns on the instruction clock. */
static void step_counting(struct vcpu *vcpu, u64 limit_ns)
{
	struct machine *machine = vcpu->machine;
	sync_clock(vcpu);
	events_run(machine, machine->clock.now_ns);
	u64 until = MIN(events_next_deadline(machine), limit_ns);
	if (until <= machine->clock.now_ns)
		return;
	u64 insns = MIN(until - machine->clock.now_ns, tracer_begin_run(vcpu));
	enum run_exit exit = machine->engine->run(vcpu, insns);
	sync_clock(vcpu);
	after_run(vcpu, exit);
	if (exit == RUN_IDLE && !interrupts_wake(&vcpu->cpu))
		leap_to_next_event(vcpu, limit_ns);
}

static void step_real(struct vcpu *vcpu)
{
	struct machine *machine = vcpu->machine;
	u64 start_ns = host_time_ns();
	bool slowed = machine->slowdown > 1;
	u64 insns = MIN(slowed ? SLOWED_RUN_INSNS : ~(u64)0, tracer_begin_run(vcpu));
	enum run_exit exit = machine->engine->run(vcpu, insns);
	after_run(vcpu, exit);
	if (exit == RUN_IDLE && !interrupts_wake(&vcpu->cpu))
		host_signal_wait(&vcpu->wake, TIME_NEVER);
	else if (slowed) {
		struct host_signal never = {0};
		u64 now_ns = host_time_ns();
		host_signal_wait(&never, now_ns + (now_ns - start_ns) * (machine->slowdown - 1));
	}
}

static bool must_park(const struct vcpu *vcpu)
{
	const struct machine *machine = vcpu->machine;
	return machine_is_pausing(machine) ||
		(vcpu->index && atomic_load_32(&machine->reset_requested));
}

static void park(struct vcpu *vcpu)
{
	struct machine *machine = vcpu->machine;
	while (must_park(vcpu) && !machine_has_ended(machine)) {
		__atomic_store_n(&vcpu->is_parked, 1, __ATOMIC_SEQ_CST);
		host_signal_raise(&machine->parked);
		host_signal_wait(&vcpu->wake, TIME_NEVER);
	}
	__atomic_store_n(&vcpu->is_parked, 0, __ATOMIC_SEQ_CST);
}

/* A pause that comes between the last look and is_parked's end has taken it for parked: hence another look. */
static void park_while_paused(struct vcpu *vcpu)
{
	do
		park(vcpu);
	while (must_park(vcpu) && !machine_has_ended(vcpu->machine));
}

void vcpu_run(struct vcpu *vcpu)
{
	while (!machine_has_ended(vcpu->machine)) {
		park_while_paused(vcpu);
		reset_if_requested(vcpu);
		if (counts_insns(vcpu))
			step_counting(vcpu, TIME_NEVER);
		else
			step_real(vcpu);
	}
}

bool vcpu_run_insns(struct vcpu *vcpu, u64 insns)
{
	struct clock *clock = &vcpu->machine->clock;
	sync_clock(vcpu);
	u64 limit_ns = clock->now_ns + insns;
	while (!machine_has_ended(vcpu->machine) && clock->now_ns < limit_ns) {
		reset_if_requested(vcpu);
		step_counting(vcpu, limit_ns);
	}
	return !machine_has_ended(vcpu->machine);
}

/* ---- state ---- */

static const struct state_field vcpu_fields[] = {
	STATE_ARRAY(struct vcpu, cpu.regs),
	STATE_UINT(struct vcpu, cpu.arithmetic_flags),
	STATE_UINT(struct vcpu, cpu.other_flags),
	STATE_UINT(struct vcpu, cpu.pending),
	STATE_UINT(struct vcpu, cpu.cpl),
	STATE_UINT(struct vcpu, cpu.interrupt_shadow),
	STATE_UINT(struct vcpu, cpu.nmi_blocked),
	STATE_UINT(struct vcpu, cpu.activity),
	STATE_UINT(struct vcpu, cpu.sipi_vector),
	STATE_UINT(struct vcpu, cpu.pending_dr6),
	STATE_BLOB(struct vcpu, cpu.segments),
	STATE_UINT(struct vcpu, cpu.gdtr.base),
	STATE_UINT(struct vcpu, cpu.gdtr.limit),
	STATE_UINT(struct vcpu, cpu.idtr.base),
	STATE_UINT(struct vcpu, cpu.idtr.limit),
	STATE_UINT(struct vcpu, cpu.cr0),
	STATE_UINT(struct vcpu, cpu.cr2),
	STATE_UINT(struct vcpu, cpu.cr3),
	STATE_UINT(struct vcpu, cpu.cr4),
	STATE_UINT(struct vcpu, cpu.efer),
	STATE_UINT(struct vcpu, cpu.xcr0),
	STATE_ARRAY(struct vcpu, cpu.pdptes),
	STATE_ARRAY(struct vcpu, cpu.dr),
	STATE_UINT(struct vcpu, cpu.dr6),
	STATE_UINT(struct vcpu, cpu.dr7),
	STATE_WORDS(struct vcpu, cpu.msrs),
	STATE_BLOB(struct vcpu, cpu.fpu.image),
	STATE_BLOB(struct vcpu, cpu.fpu.ymm_high),
	STATE_UINT(struct vcpu, tsc_offset),
};

static bool vcpu_loaded(void *object)
{
	struct vcpu *vcpu = object;
	struct cpu *cpu = &vcpu->cpu;
	if (cpu->cpl > 3 || cpu->activity > CPU_SHUTDOWN || cpu->regs[REGISTER_ZERO])
		return false;
	if (cpu->segments[SEGMENT_NONE].base || !cpu_state_is_valid(cpu))
		return false;
	atomic_and_32(&cpu->pending, ~(u32)PENDING_STOP);
	fpu_sanitize(&cpu->fpu); /* the host's FXRSTOR takes this image */
	paging_flush(cpu);
	cpu_mode_changed(cpu);
	vcpu->machine->engine->push_state(vcpu);
	return true;
}

const struct state_table vcpu_state = STATE_TABLE("vcpu", 1, vcpu_fields, vcpu_loaded);
