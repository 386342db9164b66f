/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boards/pc.h"
#include "hosts/fake/fake.h"
#include "tests/hostile/hostile.h"
#include "x86/model.h"

/* splitmix64, by Sebastiano Vigna (public domain). */
u64 random_next(struct random *random)
{
	u64 z = random->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

void random_fill(struct random *random, void *to, size_t bytes)
{
	for (size_t done = 0; done < bytes; done += 8) {
		u64 value = random_next(random);

		memcpy((u8 *)to + done, &value, MIN(bytes - done, 8));
	}
}

bool hostile_buffer_write(void *context, const void *from, u64 bytes)
{
	struct hostile_buffer *buffer = context;

	if (buffer->length + bytes > buffer->capacity) {
		buffer->capacity = (buffer->length + bytes) * 2;
		buffer->bytes = realloc(buffer->bytes, buffer->capacity);
		if (!buffer->bytes)
			return false;
	}
	memcpy(buffer->bytes + buffer->length, from, bytes);
	buffer->length += bytes;
	return true;
}

bool hostile_buffer_read(void *context, void *to, u64 bytes)
{
	struct hostile_buffer *buffer = context;

	if (bytes > buffer->length - buffer->at)
		return false;
	memcpy(to, buffer->bytes + buffer->at, bytes);
	buffer->at += bytes;
	return true;
}

static void give_up(const char *what)
{
	fprintf(stderr, "hostile: %s\n", what);
	abort();
}

/* Takes some, sometimes nothing: a place that is slow. */
static size_t take_output(void *context, const u8 *from, size_t bytes)
{
	struct hostile *hostile = context;

	hostile->output_bytes += bytes;
	return hostile->output_bytes % 7 ? bytes : 0;
}

static void resume_input(void *context) {}

const struct engine_ops *hostile_engine = &engine_interpreter;

static void create(struct hostile *hostile, bool console_is_virtio)
{
	struct pc_disk disk = {.backend = &hostile->disk.backend, .serial = "hostile"};
	struct pc_net net = {&hostile->net.backend, &hostile->net.device, {0x52}};
	struct machine_parameters parameters = {.engine = hostile_engine,
		.translate_after = 1,
		.ram = host_memory_get(HOSTILE_RAM_BYTES),
		.ram_bytes = HOSTILE_RAM_BYTES,
		.clock = CLOCK_INSTRUCTIONS,
		.tsc_hz = 1000000000,
		.wall_start_ns = 1735689600000000000,
		.model = cpu_model_best(cpu_host_features()),
		.vcpu_count = 1};
	struct pc_parameters board = {
		.console = {.write = take_output, .resume_input = resume_input, .context = hostile},
		.console_is_virtio = console_is_virtio,
		.has_exit_port = true,
		.disks = &disk,
		.disk_count = 1,
		.nets = &net,
		.net_count = 1,
		.vsock = {&hostile->vsock.backend, &hostile->vsock.device},
		.share = {&hostile->vhost.backend, &hostile->vhost.device}};

	memset(hostile, 0, sizeof(*hostile));
	fake_disk_init(&hostile->disk, hostile->disk_content, HOSTILE_DISK_BYTES);
	fake_net_init(&hostile->net);
	fake_vsock_init(&hostile->vsock);
	fake_vhost_init(&hostile->vhost);
	hostile->net.backend.can_offload = true;
	if (!parameters.ram || machine_init(&hostile->machine, &parameters) != STATUS_OK ||
		pc_create(&hostile->machine, &board, &hostile->console) != STATUS_OK)
		give_up("no machine could be made");
	clock_start(&hostile->machine.clock);
	hostile->machine.reset(&hostile->machine);
	if (hostile_save(hostile, &hostile->pristine) != STATUS_OK)
		give_up("the new machine could not be saved");
}

void hostile_create(struct hostile *hostile)
{
	create(hostile, false);
}

void hostile_create_with_console(struct hostile *hostile)
{
	create(hostile, true);
}

void hostile_destroy(struct hostile *hostile)
{
	u8 *ram = hostile->machine.memory.host;

	pc_destroy(&hostile->machine);
	machine_fini(&hostile->machine);
	host_memory_put(ram, HOSTILE_RAM_BYTES);
	free(hostile->pristine.bytes);
}

enum status hostile_save(struct hostile *hostile, struct hostile_buffer *buffer)
{
	struct state_sink sink = {hostile_buffer_write, buffer};

	buffer->length = 0;
	pc_drain(&hostile->machine);
	return state_save(&hostile->machine, &sink);
}

enum status hostile_load(struct hostile *hostile, struct hostile_buffer *buffer)
{
	struct state_source source = {hostile_buffer_read, buffer};
	struct error error = {{0}};
	enum status status;

	buffer->at = 0;
	pc_drain(&hostile->machine);
	status = state_load(&hostile->machine, &source, &error);
	if (status != STATUS_OK && !error.text[0])
		give_up("a refused state without a reason");
	if (status != STATUS_OK && getenv("VERBOSE"))
		fprintf(stderr, "%s\n", error.text);
	return status;
}

void hostile_restore(struct hostile *hostile, bool no_reboot)
{
	struct machine *machine = &hostile->machine;
	struct vcpu *vcpu = machine->vcpus[0];

	fake_reset();
	machine->exit = MACHINE_RUNS;
	machine->exit_value = 0;
	machine->reset_requested = 0;
	machine->pause_requested = 0;
	machine->no_reboot = no_reboot;
	vcpu->wake = (struct host_signal){0};
	hostile->output_bytes = 0;
	hostile->disk.waits = false;
	hostile->disk.outcome = STATUS_OK;
	hostile->net.has_no_room = false;
	hostile->vsock.refuses = false;
	hostile->vhost.backend.is_lost = hostile->vhost.has_no_room = false;
	if (hostile_load(hostile, &hostile->pristine) != STATUS_OK)
		give_up("the pristine machine could not be loaded");
}

void hostile_save_and_load(struct hostile *hostile)
{
	static struct hostile_buffer buffer;

	if (hostile_save(hostile, &buffer) != STATUS_OK)
		give_up("the machine could not be saved");
	if (hostile_load(hostile, &buffer) != STATUS_OK)
		give_up("the machine has reached a state that is not accepted when loaded");
}
