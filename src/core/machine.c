/* SPDX-License-Identifier: MIT */
/* The machine as a whole: creation, reset, end. */
#include "core/machine.h"
#include "base/atomic.h"
#include "base/check.h"
#include "x86/model.h"

static void destroy_vcpus(struct machine *machine)
{
	for (unsigned i = 0; i < machine->vcpu_count; i++) {
		machine->engine->vcpu_detach(machine->vcpus[i]);
		host_memory_put(machine->vcpus[i], sizeof(struct vcpu));
	}
	machine->vcpu_count = 0;
}

static enum status create_vcpu(struct machine *machine, const struct machine_parameters *parameters)
{
	struct vcpu *vcpu = host_memory_get(sizeof(*vcpu));
	if (!vcpu)
		return STATUS_NO_MEMORY;
	vcpu->cpu.model = parameters->model;
	vcpu->cpu.cpu_count = parameters->vcpu_count;
	vcpu_init(vcpu, machine, machine->vcpu_count);
	enum status status = machine->engine->vcpu_attach(vcpu);
	if (status != STATUS_OK) {
		host_memory_put(vcpu, sizeof(*vcpu));
		return status;
	}
	machine->vcpus[machine->vcpu_count++] = vcpu;
	return STATUS_OK;
}

enum status machine_init(struct machine *machine, const struct machine_parameters *parameters)
{
	check(parameters->vcpu_count >= 1 && parameters->vcpu_count <= MACHINE_VCPUS_MAX);
	*machine =
		(struct machine){.engine = parameters->engine, .no_reboot = parameters->no_reboot};
	machine->code_cache_bytes = parameters->code_cache_bytes ? parameters->code_cache_bytes
								 : MACHINE_CODE_CACHE_BYTES;
	machine->counts_insns = parameters->clock == CLOCK_INSTRUCTIONS || parameters->tracer;
	machine->tracer = parameters->tracer;
	machine->translate_after =
		parameters->translate_after ? parameters->translate_after : MACHINE_TRANSLATE_AFTER;
	machine->verification = (u8)parameters->verification;
	host_lock_init(&machine->lock);
	for (unsigned i = 0; i < BUS_SPACES; i++)
		bus_init(&machine->buses[i]);
	list_init(&machine->devices);
	list_init(&machine->state_objects);
	event_queue_init(&machine->events);
	clock_init(
		&machine->clock, parameters->clock, parameters->tsc_hz, parameters->wall_start_ns);
	enum status status = memory_init(&machine->memory, parameters->ram, parameters->ram_bytes);
	if (status != STATUS_OK)
		return status;
	status = machine->engine->machine_attach(machine);
	if (status != STATUS_OK) {
		memory_fini(&machine->memory);
		return status;
	}
	state_register(machine, &machine->clock_object, "clock", &clock_state, &machine->clock);
	while (status == STATUS_OK && machine->vcpu_count < parameters->vcpu_count)
		status = create_vcpu(machine, parameters);
	if (status != STATUS_OK)
		machine_fini(machine);
	return status;
}

void machine_fini(struct machine *machine)
{
	destroy_vcpus(machine);
	machine->engine->machine_detach(machine);
	memory_fini(&machine->memory);
}

void machine_reset_devices(struct machine *machine)
{
	host_lock(&machine->lock);
	list_for_each (node, &machine->devices) {
		struct device *device = container_of(node, struct device, link);
		if (device->ops->reset)
			device->ops->reset(device);
	}
	host_unlock(&machine->lock);
	u64 tsc = clock_tsc(&machine->clock); /* read once: all count alike */
	for (unsigned i = 0; i < machine->vcpu_count; i++) {
		struct vcpu *vcpu = machine->vcpus[i];
		atomic_and_32(&vcpu->cpu.pending, PENDING_STOP);
		atomic_and_32(vcpu->signals, PENDING_STOP);
		cpu_reset(&vcpu->cpu, i == 0);
		vcpu->tsc_offset = -tsc;
		machine->engine->push_state(vcpu);
	}
}

static void stop_vcpus(struct machine *machine)
{
	for (unsigned i = 0; i < machine->vcpu_count; i++) {
		atomic_or_32(machine->vcpus[i]->signals, PENDING_STOP);
		vcpu_kick(machine->vcpus[i]);
	}
}

void machine_request_reset(struct machine *machine)
{
	if (machine->no_reboot) {
		machine_end(machine, MACHINE_RESET, 0);
		return;
	}
	__atomic_store_n(&machine->reset_requested, 1, __ATOMIC_SEQ_CST);
	stop_vcpus(machine);
}

void machine_end(struct machine *machine, enum machine_exit why, u8 value)
{
	u32 runs = MACHINE_RUNS;
	if (__atomic_load_n(&machine->exit, __ATOMIC_ACQUIRE) != MACHINE_RUNS)
		return;
	machine->exit_value = value;
	if (!__atomic_compare_exchange_n(
		    &machine->exit, &runs, why, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	stop_vcpus(machine);
	host_signal_raise(&machine->parked);
	host_machine_ended(machine);
}

void machine_request_pause(struct machine *machine)
{
	__atomic_store_n(&machine->pause_requested, 1, __ATOMIC_SEQ_CST);
	stop_vcpus(machine);
}

static bool all_parked(const struct machine *machine, const struct vcpu *except)
{
	for (unsigned i = 0; i < machine->vcpu_count; i++) {
		const struct vcpu *vcpu = machine->vcpus[i];
		if (vcpu != except && !atomic_load_32(&vcpu->is_parked))
			return false;
	}
	return true;
}

#define PARK_POLL_NS \
	1000000 /* a pause and a reset may wait at once, and one of them take the other's signal */

void machine_wait_for_parked(struct machine *machine, const struct vcpu *except)
{
	while (!machine_has_ended(machine) && !all_parked(machine, except))
		host_signal_wait(&machine->parked, host_time_ns() + PARK_POLL_NS);
}

void machine_pause(struct machine *machine)
{
	machine_request_pause(machine);
	machine_wait_for_parked(machine, NULL);
	host_lock(&machine->lock);
	clock_stop(&machine->clock);
	host_unlock(&machine->lock);
}

void machine_resume(struct machine *machine)
{
	host_lock(&machine->lock);
	clock_start(&machine->clock);
	host_events_changed(machine);
	host_unlock(&machine->lock);
	__atomic_store_n(&machine->pause_requested, 0, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < machine->vcpu_count; i++)
		host_signal_raise(&machine->vcpus[i]->wake);
}
