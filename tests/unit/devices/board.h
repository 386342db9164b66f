/* SPDX-License-Identifier: MIT */
/* A PC board for tests, with an engine that does nothing: time passes when a test says so. */
#ifndef TESTS_UNIT_DEVICES_BOARD_H
#define TESTS_UNIT_DEVICES_BOARD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boards/pc.h"
#include "core/machine.h"
#include "hosts/fake/disk.h"
#include "hosts/fake/fake.h"
#include "hosts/fake/net.h"
#include "hosts/fake/vhost.h"
#include "hosts/fake/vsock.h"
#include "x86/model.h"

#define BOARD_RAM_BYTES (32 * MIB)
#define BOARD_DISK_BYTES (1 * MIB)
#define BOARD_TSC_HZ 2000000000
#define BOARD_WALL_START_NS ((u64)1700000000 * 1000000000) /* 2023-11-14 22:13:20 UTC, a Tuesday */

/* ---- an engine that does nothing ---- */

static enum status still_probe(struct error *error)
{
	return STATUS_OK;
}

static enum status still_machine_attach(struct machine *machine)
{
	return STATUS_OK;
}

static void still_machine(struct machine *machine) {}

static enum status still_vcpu_attach(struct vcpu *vcpu)
{
	return STATUS_OK;
}

static void still_vcpu(struct vcpu *vcpu) {}

static void still_memory_changed(struct machine *machine, u64 gpa, u64 bytes, struct vcpu *by) {}

static enum run_exit still_run(struct vcpu *vcpu, u64 insns)
{
	return RUN_STOPPED;
}

static u64 still_insns_retired(struct vcpu *vcpu)
{
	return 0;
}

static const struct engine_ops still_engine = {
	.name = "still",
	.probe = still_probe,
	.machine_attach = still_machine_attach,
	.machine_detach = still_machine,
	.vcpu_attach = still_vcpu_attach,
	.vcpu_detach = still_vcpu,
	.memory_changed = still_memory_changed,
	.run = still_run,
	.insns_retired = still_insns_retired,
	.kick = still_vcpu,
	.pull_state = still_vcpu,
	.push_state = still_vcpu,
};

/* ---- the board ---- */

struct board {
	struct machine machine;
	struct console_device console;
	u8 *ram;
	u8 output[256]; /* serial0's */
	size_t output_bytes, output_room;
	unsigned input_resumed;
	struct fake_disk disk;
	u8 *disk_content;
	unsigned panics[2]; /* stopped, dumping */
	unsigned boots;	    /* how often load_boot was called */
	struct fake_net net;
	struct fake_vsock vsock;
	struct fake_vhost vhost; /* the share */
};

static size_t board_console_write(void *context, const u8 *from, size_t bytes)
{
	struct board *board = context;
	size_t taken = MIN(bytes, board->output_room);

	taken = MIN(taken, sizeof(board->output) - board->output_bytes);
	memcpy(board->output + board->output_bytes, from, taken);
	board->output_bytes += taken;
	board->output_room -= taken;
	return taken;
}

static void board_resume_input(void *context)
{
	((struct board *)context)->input_resumed++;
}

static void board_panicked(void *context, enum panic_event event)
{
	((struct board *)context)->panics[event == PANIC_DUMPING]++;
}

static bool board_load_boot(struct machine *machine, void *context)
{
	((struct board *)context)->boots++;
	return true;
}

struct board_options {
	bool read_only;		/* the disk */
	bool console_is_virtio; /* not serial0 */
	bool net_offloads, net_takes_large, net_is_trusted;
};

static unused struct board *board_create_with(unsigned vcpus, struct board_options options)
{
	struct board *board = calloc(1, sizeof(*board));
	struct pc_disk disk = {.backend = &board->disk.backend, .serial = "serial number"};
	struct pc_net net = {
		&board->net.backend, &board->net.device, {0x52, 0x54, 0, 0x12, 0x34, 0x56}};
	struct machine_parameters parameters = {
		.engine = &still_engine,
		.ram = board->ram = aligned_alloc(4096, BOARD_RAM_BYTES),
		.ram_bytes = BOARD_RAM_BYTES,
		.clock = CLOCK_INSTRUCTIONS,
		.tsc_hz = BOARD_TSC_HZ,
		.wall_start_ns = BOARD_WALL_START_NS,
		.model = cpu_model_find("x86-64-v2"),
		.vcpu_count = vcpus,
	};
	struct pc_parameters pc = {
		.console = {board_console_write, board_resume_input, board},
		.console_is_virtio = options.console_is_virtio,
		.panic = {board_panicked, board},
		.has_exit_port = true,
		.load_boot = board_load_boot,
		.context = board,
		.disks = &disk,
		.disk_count = 1,
		.nets = &net,
		.net_count = 1,
		.vsock = {&board->vsock.backend, &board->vsock.device},
		.share = {&board->vhost.backend, &board->vhost.device},
	};

	fake_reset();
	board->disk_content = calloc(1, BOARD_DISK_BYTES);
	fake_disk_init(&board->disk, board->disk_content, BOARD_DISK_BYTES);
	board->disk.backend.is_read_only = options.read_only;
	fake_net_init(&board->net);
	fake_vsock_init(&board->vsock);
	fake_vhost_init(&board->vhost);
	board->net.backend.can_offload = options.net_offloads;
	board->net.backend.takes_large = options.net_takes_large;
	board->net.backend.is_trusted = options.net_is_trusted;
	memset(board->ram, 0, BOARD_RAM_BYTES);
	board->output_room = sizeof(board->output);
	assert_int_equal(machine_init(&board->machine, &parameters), STATUS_OK);
	assert_int_equal(pc_create(&board->machine, &pc, &board->console), STATUS_OK);
	clock_start(&board->machine.clock);
	board->machine.reset(&board->machine);
	return board;
}

static unused struct board *board_create(unsigned vcpus)
{
	return board_create_with(vcpus, (struct board_options){0});
}

static unused void board_destroy(struct board *board)
{
	pc_destroy(&board->machine);
	machine_fini(&board->machine);
	free(board->ram);
	free(board->disk_content);
	free(board);
}

static unused int board_setup(void **state)
{
	*state = board_create(1);
	return 0;
}

static unused int board_setup_three(void **state)
{
	*state = board_create(3);
	return 0;
}

static unused int board_teardown(void **state)
{
	board_destroy(*state);
	return 0;
}

#define board_test(function) cmocka_unit_test_setup_teardown(function, board_setup, board_teardown)
#define board_test_three(function) \
	cmocka_unit_test_setup_teardown(function, board_setup_three, board_teardown)

/* ---- accesses by a vCPU ---- */

static unused u64 board_access(struct board *board, unsigned vcpu, enum bus_space space,
	u64 address, unsigned size, bool is_write, u64 value)
{
	struct bus_access access = {
		.space = space,
		.is_write = is_write,
		.size = (u8)size,
		.address = address,
		.value = value,
		.vcpu = board->machine.vcpus[vcpu],
	};

	bus_dispatch(&board->machine, &access);
	return access.value;
}

static unused u8 in8(struct board *board, u16 port)
{
	return (u8)board_access(board, 0, BUS_PORT, port, 1, false, 0);
}

static unused u16 in16(struct board *board, u16 port)
{
	return (u16)board_access(board, 0, BUS_PORT, port, 2, false, 0);
}

static unused u32 in32(struct board *board, u16 port)
{
	return (u32)board_access(board, 0, BUS_PORT, port, 4, false, 0);
}

static unused void out8(struct board *board, u16 port, u8 value)
{
	board_access(board, 0, BUS_PORT, port, 1, true, value);
}

static unused void out16(struct board *board, u16 port, u16 value)
{
	board_access(board, 0, BUS_PORT, port, 2, true, value);
}

static unused void out32(struct board *board, u16 port, u32 value)
{
	board_access(board, 0, BUS_PORT, port, 4, true, value);
}

/* Time passes, and what is due happens at its own time. */
static unused void pass_ns(struct board *board, u64 ns)
{
	struct clock *clock = &board->machine.clock;
	u64 end = clock_now_ns(clock) + ns;

	while (events_next_deadline(&board->machine) <= end) {
		u64 next = events_next_deadline(&board->machine);
		if (next > clock_now_ns(clock))
			clock_advance(clock, next - clock_now_ns(clock));
		events_run(&board->machine, clock_now_ns(clock));
	}
	clock_advance(clock, end - clock_now_ns(clock));
}

/* The interrupt that a vCPU would take now: its vector, or -1. */
static unused int take_interrupt(struct board *board, unsigned index)
{
	struct vcpu *vcpu = board->machine.vcpus[index];

	if (!(vcpu->cpu.pending & PENDING_INTERRUPT))
		return -1;
	return vcpu->apic.ops->acknowledge(vcpu->apic.object);
}

/* Both 8259s initialised as kernels do, vectors 0x30 to 0x3f, all inputs open; no timer edge left over. */
static unused void open_pics(struct board *board)
{
	static const u8 writes[][2] = {{0x20, 0x11}, {0x21, 0x30}, {0x21, 4}, {0x21, 1},
		{0xa0, 0x11}, {0xa1, 0x38}, {0xa1, 2}, {0xa1, 1}, {0x21, 0}, {0xa1, 0}};

	for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
		out8(board, writes[i][0], writes[i][1]);
}

#endif
