/* SPDX-License-Identifier: MIT */
#include "hosts/metal/guest.h"

#include <cpuid.h>

#include "base/bits.h"
#include "base/memory.h"
#include "base/text.h"
#include "boards/pc.h"
#include "boot/boot.h"
#include "core/host_processor.h"
#include "core/machine.h"
#include "engines/svm/svm.h"
#include "hosts/metal/console/console.h"
#include "hosts/metal/guest_disks.h"
#include "hosts/metal/guest_nets.h"
#include "hosts/metal/memory/frames.h"
#include "hosts/metal/schedule/thread.h"
#include "x86/model.h"

#define CPUID_LEAVES_MAX 64

struct guest {
	struct machine machine; /* first: what host_events_changed is given */
	struct machine_config config;
	struct boot_images images;
	struct cpu_model model; /* of the configured one, what the processor has */
	struct cpuid_leaf leaves[CPUID_LEAVES_MAX];
	struct console_line console;
	struct guest_disks disks;
	struct guest_nets nets;
	struct host_signal
		changed; /* an event comes earlier, a frame is there, or the machine has ended */
	struct thread *loop, *vcpus[MACHINE_VCPUS_MAX];
	struct error boot_error;
	bool is_loaded;
	bool has_started;
};

/* The fastest first. */
static const struct engine_ops *const engines[] = {&engine_svm, &engine_interpreter};

static struct guest *guest_of(struct machine *machine)
{
	return container_of(machine, struct guest, machine);
}

/* ---- the host interface that needs the guest ---- */

void host_events_changed(struct machine *machine)
{
	host_signal_raise(&guest_of(machine)->changed);
}

void host_machine_ended(struct machine *machine)
{
	host_signal_raise(&guest_of(machine)->changed);
}

static void tell_panic(void *context, enum panic_event event)
{
	struct guest *guest = context;
	console_say("%s: the guest's kernel panicked", guest->config.name);
}

/* ---- creation ---- */

static enum status choose_engine(
	const struct machine_config *config, const struct engine_ops **engine, struct error *error)
{
	bool is_free = text_equal(config->engine, "auto");
	enum status status = STATUS_UNSUPPORTED;
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		if (!is_free && !text_equal(config->engine, engines[i]->name))
			continue;
		status = engines[i]->probe(error);
		if (status == STATUS_OK) {
			*engine = engines[i];
			return status;
		}
		if (!is_free)
			return status;
	}
	return is_free ? status : error_set(error, status, "no engine '%s' here", config->engine);
}

#define CPUID_EXTENDED_FEATURES_2 0x80000021u

/*
 * Guest code runs as it is, speculation included: that LFENCE serializes and that indirect branches are restricted by themselves is said only where this
 * processor says so.
 */
static enum status limit_leaves(struct guest *guest, struct error *error)
{
	struct cpu_model *model = &guest->model;
	u32 a = 0, b, c, d;
	if (model->leaf_count > CPUID_LEAVES_MAX)
		return error_set(error, STATUS_TOO_BIG, "the model has too many CPUID leaves");
	if (!__get_cpuid(CPUID_EXTENDED_FEATURES_2, &a, &b, &c, &d))
		a = 0;
	for (unsigned i = 0; i < model->leaf_count; i++) {
		guest->leaves[i] = model->leaves[i];
		if (guest->leaves[i].leaf == CPUID_EXTENDED_FEATURES_2)
			guest->leaves[i].eax &= a;
	}
	model->leaves = guest->leaves;
	return STATUS_OK;
}

/*
 * The configured model. An engine that runs instructions as they are offers only what this processor has; the name stays, since what it lacks is
 * no matter of the guest's description.
 */
static enum status choose_model(struct guest *guest, struct error *error)
{
	const char *name = guest->config.cpu;
	u64 host = cpu_host_features();
	const struct cpu_model *model =
		text_equal(name, "auto") ? cpu_model_best(host) : cpu_model_find(name);
	char names[128];
	struct text missing;

	text_init(&missing, names, sizeof(names));
	if (!model || !cpu_model_runs_on(model, host, &missing))
		return error_set(error, STATUS_UNSUPPORTED, "cpu %s: this processor lacks %s", name,
			model ? names : "what any model needs");
	guest->model = *model;
	if (guest->machine.engine != &engine_svm)
		return STATUS_OK;
	guest->model.features &= host;
	return limit_leaves(guest, error);
}

static enum status find_images(
	struct guest *guest, const struct bundle *bundle, struct error *error)
{
	struct machine_config *config = &guest->config;
	struct boot_images *images = &guest->images;
	enum status status = bundle_find(
		bundle, "kernel", config->kernel, &images->kernel, &images->kernel_bytes, error);
	if (status == STATUS_OK)
		status = bundle_find(bundle, "initrd", config->initrd, &images->initrd,
			&images->initrd_bytes, error);
	if (status == STATUS_OK && !images->kernel)
		status = error_set(error, STATUS_INVALID, "it has no kernel");
	images->command_line = config->append;
	return status;
}

/* The board's load_boot. */
static bool load_boot(struct machine *machine, void *context)
{
	struct guest *guest = context;
	struct acpi_platform platform = pc_acpi_platform(machine);
	struct boot_entry entry;
	if (boot_load(machine, &guest->images, &platform, &entry, &guest->boot_error) !=
		STATUS_OK) {
		console_say("%s: %s", guest->config.name, guest->boot_error.text);
		return false;
	}
	boot_apply(&machine->vcpus[0]->cpu, &entry);
	for (unsigned i = 1; i < machine->vcpu_count; i++)
		boot_prepare(&machine->vcpus[i]->cpu);
	guest->is_loaded = true;
	return true;
}

static enum status create_machine(
	struct guest *guest, const struct engine_ops *engine, struct error *error)
{
	const struct machine_config *config = &guest->config;
	struct machine_parameters parameters = {
		.engine = engine,
		.ram = frames_get(config->memory, LARGE_FRAME_BYTES),
		.ram_bytes = config->memory,
		.clock = CLOCK_REAL,
		.tsc_hz = host_tsc_hz(),
		.wall_start_ns = host_wall_clock_ns(),
		.no_reboot = config->no_reboot,
		.model = &guest->model,
		.vcpu_count = config->cpus,
	};
	if (!parameters.ram)
		return error_set(error, STATUS_NO_MEMORY,
			"its %lu MiB of memory are not to be had in one piece; %lu MiB are free",
			config->memory >> 20, frames_free_bytes() >> 20);
	enum status status = machine_init(&guest->machine, &parameters);
	if (status == STATUS_OK)
		return status;
	frames_put(parameters.ram, config->memory);
	return error_set(error, status, "the machine cannot be made: out of memory");
}

static enum status create_board(struct guest *guest, struct error *error)
{
	const struct machine_config *config = &guest->config;
	struct pc_parameters parameters = {
		.console = console_line_open(&guest->console, config->name, &guest->machine),
		.console_is_virtio = text_equal(config->console, "virtio"),
		.panic = {tell_panic, guest},
		.has_exit_port = config->exit_port,
		.disks = guest->disks.boards,
		.disk_count = guest->disks.count,
		.nets = guest->nets.boards,
		.net_count = guest->nets.count,
		.load_boot = load_boot,
		.context = guest,
	};
	enum status status = pc_create(&guest->machine, &parameters, &guest->console.device);
	if (status != STATUS_OK)
		return error_set(error, status, "the board cannot be made: out of memory");
	return STATUS_OK;
}

/* What a description may ask of Type 2, and this form has not. */
static enum status check_supported(const struct machine_config *config, struct error *error)
{
	if (config->share[0])
		return error_set(error, STATUS_UNSUPPORTED, "share: there is no folder here");
	if (config->vsock[0])
		return error_set(error, STATUS_UNSUPPORTED, "vsock: not available yet");
	if (!text_equal(config->clock, "real"))
		return error_set(error, STATUS_UNSUPPORTED, "clock: only real");
	return STATUS_OK;
}

enum status guest_create(const struct machine_config *config, const struct bundle *bundle,
	struct guest **created, struct error *error)
{
	const struct engine_ops *engine = NULL;
	struct guest *guest = host_memory_get(sizeof(*guest));
	if (!guest)
		return error_set(error, STATUS_NO_MEMORY, "out of memory");
	guest->config = *config;
	enum status status = check_supported(config, error);
	if (status == STATUS_OK)
		status = find_images(guest, bundle, error);
	if (status == STATUS_OK)
		status = guest_disks_open(&guest->disks, config, bundle, error);
	if (status == STATUS_OK)
		status = choose_engine(config, &engine, error);
	guest->machine.engine = engine;
	if (status == STATUS_OK)
		status = choose_model(guest, error);
	if (status == STATUS_OK)
		status = create_machine(guest, engine, error);
	if (status == STATUS_OK)
		status = guest_nets_open(&guest->nets, config, &guest->changed, error);
	if (status == STATUS_OK)
		status = create_board(guest, error);
	if (status == STATUS_OK) {
		*created = guest;
		return status;
	}
	guest_disks_close(&guest->disks);
	/* A port stays in the switch. */
	if (!guest->nets.count)
		host_memory_put(guest, sizeof(*guest));
	return status;
}

/* ---- its threads ---- */

/* Host time of a machine's deadline. */
static u64 host_deadline(const struct machine *machine)
{
	u64 deadline_ns = events_next_deadline(machine);
	return deadline_ns == TIME_NEVER ? TIME_NEVER : deadline_ns - machine->clock.offset_ns;
}

static const char *ending(const struct machine *machine)
{
	static const char *const words[] = {
		[MACHINE_POWER_OFF] = "powered off",
		[MACHINE_RESET] = "was reset, and has no_reboot",
		[MACHINE_SHUTDOWN] = "ended with a triple fault",
		[MACHINE_EXIT_PORT] = "wrote to its exit port",
		[MACHINE_STOPPED] = "was stopped",
		[MACHINE_FAULT] = "was stopped because of a fault of lodge's own",
	};
	return machine->exit < ARRAY_SIZE(words) && words[machine->exit] ? words[machine->exit]
									 : "ended";
}

/* Devices' events, in time, and frames; then the end. */
static void loop_main(void *argument)
{
	struct guest *guest = argument;
	struct machine *machine = &guest->machine;
	while (!machine_has_ended(machine)) {
		events_run(machine, clock_now_ns(&machine->clock));
		host_lock(&machine->lock);
		u64 net = guest_nets_run(&guest->nets), event = host_deadline(machine);
		host_unlock(&machine->lock);
		host_signal_wait(&guest->changed, MIN(net, event));
	}
	for (unsigned i = 0; i < machine->vcpu_count; i++)
		if (guest->vcpus[i])
			thread_join(guest->vcpus[i]);
	console_line_flush(&guest->console);
	console_say("%s %s", guest->config.name, ending(machine));
}

static void vcpu_main(void *argument)
{
	vcpu_run(argument);
}

enum status guest_start(struct guest *guest, struct error *error)
{
	struct machine *machine = &guest->machine;
	struct thread_parameters loop = {.name = guest->config.name,
		.main = loop_main,
		.argument = guest,
		.is_service = true};
	struct thread_parameters vcpu = {.name = guest->config.name,
		.main = vcpu_main,
		.weight = guest->config.cpu_weight,
		.limit_percent = guest->config.cpu_limit / machine->vcpu_count};

	machine->reset(machine);
	if (!guest->is_loaded)
		return error_set(
			error, STATUS_INVALID, "%s: it cannot be started", guest->config.name);
	clock_start(&machine->clock);
	for (unsigned i = 0; i < machine->vcpu_count; i++) {
		vcpu.argument = machine->vcpus[i];
		guest->vcpus[i] = thread_create(&vcpu);
		if (!guest->vcpus[i])
			machine_end(machine, MACHINE_FAULT, 0);
	}
	/* Last: it is who waits for the others. */
	guest->loop = thread_create(&loop);
	guest->has_started = guest->loop;
	if (guest->loop)
		return STATUS_OK;
	machine_end(machine, MACHINE_FAULT, 0);
	return error_set(error, STATUS_NO_MEMORY, "%s: out of memory", guest->config.name);
}

void guest_wait(struct guest *guest)
{
	if (!guest->has_started)
		return;
	thread_join(guest->loop);
}

bool guest_has_succeeded(const struct guest *guest)
{
	u32 exit = guest->machine.exit;
	return guest->has_started &&
		(exit == MACHINE_POWER_OFF || exit == MACHINE_RESET ||
			(exit == MACHINE_EXIT_PORT && !guest->machine.exit_value));
}
