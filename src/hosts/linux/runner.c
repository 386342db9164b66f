/* SPDX-License-Identifier: MIT */
/*
 * One machine's life on Linux. The vCPU has a thread of its own, the console's output another; this one waits for
 * everything else: the next event's time, input, signals, the machine's end.
 */
#include "hosts/linux/runner.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"
#include "boards/pc.h"
#include "core/machine.h"
#include "core/trace.h"
#include "core/tracer.h"
#include "hosts/linux/code_memory.h"
#include "hosts/linux/console.h"
#include "hosts/linux/disks.h"
#include "hosts/linux/gdb_server.h"
#include "hosts/linux/net.h"
#include "hosts/linux/record.h"
#include "hosts/linux/sandbox/layers.h"
#include "hosts/linux/sandbox/sandbox.h"
#include "hosts/linux/vhosts.h"
#include "hosts/linux/vsock.h"
#include "x86/model.h"

/* One nanosecond a tick: the cheapest to compute, and all that a software engine can resolve. */
#define TSC_HZ 1000000000
/* What the wall clock of a machine on the instruction clock starts with: 2025-01-01. */
#define FIXED_WALL_START_NS 1735689600000000000
#define PANICS_TOLD 8

struct runner {
	const struct runner_parameters *parameters;
	struct machine machine;
	struct tracer tracer;
	struct console console;
	int timer, wake, signals;
	u64 armed_ns; /* host time that the timer is set to; guarded by machine.lock */
	bool is_stopped_by_user;
	enum status boot_status;
	struct pc_vhost share;
	struct error error;
	pthread_t vcpu_threads[MACHINE_VCPUS_MAX];
};

static struct runner runner = {.timer = -1, .wake = -1, .signals = -1};

static const struct engine_ops *const engines[] = {
	&engine_interpreter, &engine_translator, &engine_lockstep};

/* ---- the host interface that needs the loop ---- */

static void wake_loop(void)
{
	static const u64 one = 1;
	ssize_t written = write(runner.wake, &one, sizeof(one));
	(void)written;
}

/* Sets the timer to the next event. machine->lock is held. */
static void arm_timer(void)
{
	const struct clock *clock = &runner.machine.clock;
	u64 deadline = events_next_deadline(&runner.machine), host_ns = 0;
	if (clock->kind != CLOCK_REAL || !clock->is_running)
		return;
	if (deadline != TIME_NEVER)
		host_ns = MAX((i64)(deadline - clock->offset_ns), 1);
	if (host_ns == runner.armed_ns)
		return;
	runner.armed_ns = host_ns;
	struct itimerspec when = {.it_value.tv_sec = (time_t)(host_ns / 1000000000),
		.it_value.tv_nsec = (long)(host_ns % 1000000000)};
	timerfd_settime(runner.timer, TFD_TIMER_ABSTIME, &when, NULL);
}

void host_events_changed(struct machine *machine)
{
	if (runner.timer >= 0)
		arm_timer();
}

void host_machine_ended(struct machine *machine)
{
	wake_loop();
}

void check_failed(const char *file, int line, const char *condition)
{
	char buffer[300];
	struct text text;
	text_init(&text, buffer, sizeof(buffer));
	text_format(&text,
		"a fault of lodge's own at %s:%d (%s), the guest being at rip %lx: please report it",
		file, line, condition,
		runner.machine.vcpu_count ? runner.machine.vcpus[0]->cpu.regs[RIP] : 0);
	host_log(LOG_ERROR, buffer);
	records_finish();
	_exit(LODGE_EXIT_FAULT);
}

/* The guest's kernel panicked. Twice the same is told once: pvpanic.c. */
static void tell_panic(void *context, enum panic_event event)
{
	/* One that resets itself and panics again must not fill a log. */
	if (__atomic_fetch_add(&runner.parameters->status->panics, 1, __ATOMIC_RELAXED) >=
		PANICS_TOLD)
		return;
	host_log(LOG_INFO,
		event == PANIC_DUMPING ? "the guest's kernel panicked; its crash kernel takes over"
				       : "the guest's kernel panicked");
}

static void write_counts(u32 *times)
{
	struct runner_status *status = runner.parameters->status;

	pc_count(&runner.machine, &status->counts);
	__atomic_fetch_add(times, 1, __ATOMIC_RELEASE);
}

static void guest_told(void *context)
{
	write_counts(&runner.parameters->status->told);
}

/* ---- creation ---- */

static const struct engine_ops *find_engine(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		if (text_equal(engines[i]->name, name))
			return engines[i];
	}
	return NULL;
}

/* The board's load_boot: images to RAM, registers to the first vCPU. At the start and at each reset. */
static bool load_boot(struct machine *machine, void *context)
{
	struct boot_entry entry;
	struct acpi_platform platform = pc_acpi_platform(machine);
	runner.boot_status =
		boot_load(machine, &runner.parameters->images, &platform, &entry, &runner.error);
	if (runner.boot_status != STATUS_OK) {
		host_log(LOG_INFO, runner.error.text);
		return false;
	}
	boot_apply(&machine->vcpus[0]->cpu, &entry);
	for (unsigned i = 1; i < machine->vcpu_count; i++)
		boot_prepare(&machine->vcpus[i]->cpu);
	return true;
}

/* Builds for tests take nothing on trust. */
static enum verification verification_of(const struct machine_config *config)
{
	if (SANDBOX_IS_REDUCED || text_equal(config->verify_translations, "strict"))
		return VERIFY_OR_STOP;
	return text_equal(config->verify_translations, "on") ? VERIFY_OR_INTERPRET : VERIFY_NOTHING;
}

static struct tracer *tracer_of(const struct machine_config *config)
{
	struct tracer *tracer = &runner.tracer;
	tracer->instructions = config_trace_has(config, "instructions");
	tracer->events = config_trace_has(config, "events");
	tracer->after = config->trace_after;
	return tracer->instructions || tracer->events ? tracer : NULL;
}

/* What is told of the guest, and where. */
static enum status open_records(const struct machine_config *config)
{
	struct record_settings settings = {
		.fd = config->trace_fd, .lines = config->trace_lines, .last = config->trace_last};
	enum status status = STATUS_OK;
	trace_enabled = config_trace_has(config, "notes");
	if (config_trace_has(config, "instructions") || config_trace_has(config, "events"))
		status = record_open(RECORD_TRACE, &settings, &runner.error);
	settings = (struct record_settings){.fd = config->blocks_fd, .lines = ~(u64)0};
	if (status == STATUS_OK && config->blocks_fd >= 0)
		status = record_open(RECORD_BLOCKS, &settings, &runner.error);
	return status;
}

static enum status create_machine(const struct machine_config *config)
{
	struct error *error = &runner.error;
	bool counts = text_equal(config->clock, "instructions");
	struct machine_parameters parameters = {
		.engine = find_engine(config->engine),
		.ram = runner.parameters->ram,
		.ram_bytes = config->memory,
		.clock = counts ? CLOCK_INSTRUCTIONS : CLOCK_REAL,
		.tsc_hz = TSC_HZ,
		.wall_start_ns = counts ? FIXED_WALL_START_NS : host_wall_clock_ns(),
		.no_reboot = config->no_reboot,
		.model = cpu_model_find(config->cpu),
		.vcpu_count = config->cpus,
		.code_cache_bytes = config->code_cache,
		.translate_after = config->translate_after,
		.verification = verification_of(config),
		.tracer = tracer_of(config),
	};
	if (!parameters.engine)
		return error_set(
			error, STATUS_UNSUPPORTED, "no engine '%s' in lodge-vm", config->engine);
	if (!parameters.model)
		return error_set(error, STATUS_UNSUPPORTED, "no processor model '%s'", config->cpu);
	char names[128];
	struct text missing;
	text_init(&missing, names, sizeof(names));
	if (!cpu_model_runs_on(parameters.model, cpu_host_features(), &missing))
		return error_set(error, STATUS_UNSUPPORTED, "--cpu %s: this processor lacks %s",
			config->cpu, names);
	enum status status = parameters.engine->probe(error);
	if (status != STATUS_OK)
		return status;
	status = machine_init(&runner.machine, &parameters);
	if (status != STATUS_OK)
		return error_set(error, status, "the machine cannot be made: out of memory");
	runner.machine.slowdown = config->slowdown;
	return STATUS_OK;
}

static enum status create_board(const struct machine_config *config)
{
	bool stdio = !text_equal(config->console, "none");
	console_init(&runner.console, &runner.machine, stdio ? STDIN_FILENO : -1,
		stdio ? STDOUT_FILENO : -1, runner.wake);
	struct pc_parameters parameters = {
		.console = runner.console.backend,
		.console_is_virtio = text_equal(config->console, "virtio"),
		.panic = {tell_panic, NULL},
		.guest_told = guest_told,
		.has_exit_port = config->exit_port,
		.load_boot = load_boot,
	};
	parameters.disks = disks_get(&parameters.disk_count);
	parameters.nets = nets_get(&parameters.net_count);
	parameters.vsock = vsock_get();
	parameters.share = runner.share;
	enum status status = pc_create(&runner.machine, &parameters, &runner.console.device);
	if (status != STATUS_OK)
		return error_set(
			&runner.error, status, "the machine's board cannot be made: out of memory");
	return STATUS_OK;
}

static enum status create_descriptors(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGURG);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	runner.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	runner.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	runner.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	runner.armed_ns = TIME_NEVER;
	if (runner.signals < 0 || runner.wake < 0 || runner.timer < 0)
		return error_set(
			&runner.error, STATUS_IO, "no descriptors left: %s", strerror(errno));
	return STATUS_OK;
}

/* ---- locking in ---- */

/* What is executable later is made executable now. */
static enum status prepare_code_memory(const struct machine_config *config)
{
	const struct engine_ops *engine = find_engine(config->engine);

	if (!engine || !engine->needs_code_memory)
		return STATUS_OK;
	return code_memory_prepare(config->code_cache, config->perf_fd, &runner.error);
}

/* Before the guest's files are read, and so before its first instruction. */
static void lock_in(const struct machine_config *config)
{
	int descriptors[11 + DISKS_DESCRIPTORS_MAX + NETS_DESCRIPTORS * PC_NETS_MAX +
		VSOCK_DESCRIPTORS + VHOSTS_DESCRIPTORS] = {STDIN_FILENO, STDOUT_FILENO,
		STDERR_FILENO, config->gdb_fd, config->perf_fd, config->trace_fd, config->blocks_fd,
		config->ready_fd, runner.signals, runner.wake, runner.timer};
	static struct sandbox sandbox;
	char line[300];
	struct text text;

	if (config->no_sandbox) {
		host_log(LOG_WARNING,
			"--no-sandbox: this machine's process is not locked in; a guest that breaks "
			"out has your rights");
		return;
	}
	sandbox.descriptors = descriptors;
	sandbox.descriptor_count = 11 + disks_descriptors(descriptors + 11, DISKS_DESCRIPTORS_MAX);
	sandbox.descriptor_count += nets_descriptors(
		descriptors + sandbox.descriptor_count, NETS_DESCRIPTORS * PC_NETS_MAX);
	sandbox.descriptor_count +=
		vsock_descriptors(descriptors + sandbox.descriptor_count, VSOCK_DESCRIPTORS);
	sandbox.descriptor_count +=
		vhosts_descriptors(descriptors + sandbox.descriptor_count, VHOSTS_DESCRIPTORS);
	sandbox.unbounded_count = 10;
	sandbox.file_bytes_max = disks_file_bytes_max();
	/* gdb's: a wake-up and a connection. */
	sandbox.more_descriptors = (config->gdb_fd >= 0 ? 2 : 0) + vsock_more_descriptors();
	/* The loop, the console's writer, gdb's, the disks', the network's, the sockets', other processes', the processors. */
	sandbox.threads = 2 + (config->gdb_fd >= 0) + disks_threads() + nets_threads() +
		vsock_threads() + vhosts_threads() + (unsigned)config->cpus;
	sandbox_enter(&sandbox);
	if (sandbox.layers[SANDBOX_SYSCALLS].is_there)
		return;
	text_init(&text, line, sizeof(line));
	text_format(&text, "the sandbox lacks its most important part (see lodge doctor): %s",
		sandbox.layers[SANDBOX_SYSCALLS].text);
	host_log(LOG_WARNING, line);
}

/* ---- the loop ---- */

static void drain(int descriptor)
{
	u64 count;
	ssize_t got = read(descriptor, &count, sizeof(count));
	(void)got;
}

static void answer_counts(void)
{
	struct runner_status *status = runner.parameters->status;

	host_lock(&runner.machine.lock);
	status->can_tell = pc_ask_guest(&runner.machine);
	write_counts(&status->counted);
	host_unlock(&runner.machine.lock);
}

static void take_signals(void)
{
	struct signalfd_siginfo info;
	while (read(runner.signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGUSR1)
			pc_power_button(&runner.machine);
		else if (info.ssi_signo == SIGURG)
			answer_counts();
		else
			machine_end(&runner.machine, MACHINE_STOPPED, 0);
	}
}

static void run_due_events(void)
{
	struct machine *machine = &runner.machine;
	drain(runner.timer);
	events_run(machine, clock_now_ns(&machine->clock));
	host_lock(&machine->lock);
	runner.armed_ns = TIME_NEVER; /* it has fired: whatever is next is set anew */
	arm_timer();
	host_unlock(&machine->lock);
}

static void loop(void)
{
	struct console *console = &runner.console;
	while (!machine_has_ended(&runner.machine)) {
		struct pollfd polled[] = {
			{.fd = runner.wake, .events = POLLIN},
			{.fd = runner.timer, .events = POLLIN},
			{.fd = runner.signals, .events = POLLIN},
			{.fd = console_wants_input(console) ? console->input : -1,
				.events = POLLIN},
		};
		if (poll(polled, ARRAY_SIZE(polled), -1) < 0)
			continue;
		if (polled[0].revents) {
			drain(runner.wake);
			console_offer(console);
		}
		if (polled[1].revents)
			run_due_events();
		if (polled[2].revents)
			take_signals();
		if (polled[3].revents && console_read(console)) {
			runner.is_stopped_by_user = true;
			machine_end(&runner.machine, MACHINE_STOPPED, 0);
		}
	}
}

static void *vcpu_main(void *argument)
{
	sandbox_enter_role(SANDBOX_VCPU);
	vcpu_run(argument);
	return NULL;
}

static int exit_status(void)
{
	switch (runner.machine.exit) {
	case MACHINE_POWER_OFF:
	case MACHINE_RESET:
		return LODGE_EXIT_OK;
	case MACHINE_SHUTDOWN:
		return LODGE_EXIT_SHUTDOWN;
	case MACHINE_EXIT_PORT:
		return LODGE_EXIT_PORT + (runner.machine.exit_value & 63);
	case MACHINE_STOPPED:
		return runner.is_stopped_by_user ? LODGE_EXIT_OK : LODGE_EXIT_FAILURE;
	default:
		return LODGE_EXIT_FAULT;
	}
}

static bool start_vcpus(struct machine *machine)
{
	for (unsigned i = 0; i < machine->vcpu_count; i++) {
		if (pthread_create(&runner.vcpu_threads[i], NULL, vcpu_main, machine->vcpus[i]))
			return false;
	}
	return true;
}

static int run_machine(void)
{
	struct machine *machine = &runner.machine;
	int gdb = runner.parameters->config.gdb_fd;
	clock_start(&machine->clock);
	if (gdb >= 0 && !gdb_server_start(machine, gdb)) {
		host_log(LOG_ERROR, "the gdb server could not be started");
		return LODGE_EXIT_FAILURE;
	}
	if (!console_start(&runner.console) || !disks_start(machine) || !nets_start(machine) ||
		!vsock_start(machine) || !vhosts_start(machine) || !start_vcpus(machine)) {
		host_log(LOG_ERROR, "no thread could be started");
		return LODGE_EXIT_FAILURE;
	}
	host_lock(&machine->lock);
	host_events_changed(machine);
	host_unlock(&machine->lock);
	sandbox_enter_role(SANDBOX_LOOP);
	loop();
	for (unsigned i = 0; i < machine->vcpu_count; i++)
		pthread_join(runner.vcpu_threads[i], NULL);
	pc_drain(machine);
	disks_finish();
	nets_finish();
	vsock_finish();
	vhosts_finish();
	console_finish(&runner.console);
	tracer_end(machine);
	records_finish();
	gdb_server_end(exit_status());
	return exit_status();
}

/* Whoever started this process need not wait any more. */
static void tell_ready(int descriptor)
{
	if (descriptor < 0)
		return;
	ssize_t written = write(descriptor, "", 1);
	(void)written;
	close(descriptor);
}

int runner_run(const struct runner_parameters *parameters)
{
	const struct machine_config *config = &parameters->config;
	runner.parameters = parameters;
	enum status status = create_descriptors();
	if (status == STATUS_OK)
		status = open_records(config);
	if (status == STATUS_OK)
		status = prepare_code_memory(config);
	if (status == STATUS_OK)
		status = disks_open(config, &runner.error);
	if (status == STATUS_OK)
		status = nets_open(config, &runner.error);
	if (status == STATUS_OK)
		status = vsock_open(config, &runner.error);
	if (status == STATUS_OK)
		status = vhosts_open_share(config, &runner.share, &runner.error);
	close(config->ram_fd);
	if (status == STATUS_OK) {
		lock_in(config);
		status = disks_open_images(&runner.error);
	}
	if (status == STATUS_OK) {
		status = create_machine(config);
	}
	if (status == STATUS_OK)
		status = create_board(config);
	if (status != STATUS_OK) {
		host_log(LOG_INFO, runner.error.text);
		return LODGE_EXIT_FAILURE;
	}
	runner.machine.reset(&runner.machine);
	if (runner.boot_status != STATUS_OK)
		return LODGE_EXIT_FAILURE;
	if (config->notice[0])
		host_log(LOG_INFO, config->notice);
	tell_ready(config->ready_fd);
	return run_machine();
}
