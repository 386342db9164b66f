/* SPDX-License-Identifier: MIT */
/* What a hostile guest may do to devices, and what a saved machine keeps of them. */
#include "saved.h"

#define ACCESSES 1000000

static u64 random_state;

static u64 random_64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

struct window {
	enum bus_space space;
	u64 base, bytes;
};

/* Everything that the board has, and a little around it. */
static const struct window windows[] = {
	{BUS_PORT, 0x1e, 8},
	{BUS_PORT, 0x3e, 8},
	{BUS_PORT, 0x5e, 9},
	{BUS_PORT, 0x6e, 8},
	{BUS_PORT, 0x7e, 4},
	{BUS_PORT, 0x90, 4},
	{BUS_PORT, 0x9e, 6},
	{BUS_PORT, 0xf2, 8},
	{BUS_PORT, 0x3f6, 12},
	{BUS_PORT, 0x4ce, 6},
	{BUS_PORT, 0x503, 6},
	{BUS_PORT, 0x5fe, 0x34},
	{BUS_PORT, 0xcf6, 12},
	{BUS_PORT, 0, 0x10000},
	{BUS_MEMORY, 0xfec00000, 0x50},
	{BUS_MEMORY, 0xfee00000, 0x400},
	{BUS_MEMORY, 0xfec00000, 0x1000},
	{BUS_MEMORY, 0xfedffff8, 0x1010},
	{BUS_MEMORY, 0xc0000000, 0x10000},
	{BUS_MEMORY, 0xe0008000, 0x100},
	{BUS_MEMORY, 0xe0040000, 0x100},
	{BUS_MEMORY, 0xe00c0000, 0x100},
	{BUS_MEMORY, 0xe00c8000, 0x100},
	{BUS_MEMORY, 0xc0010000, 0x30000},
	{BUS_MEMORY, 0xe0000000, 0x100000},
	{BUS_MSR, 0x10, 16},
	{BUS_MSR, 0x6de, 4},
	{BUS_MSR, 0x7ff, 0x102},
	{BUS_MSR, 0x4b564cff, 4},
};

static void random_access(struct board *board)
{
	const struct window *window = &windows[random_64() % ARRAY_SIZE(windows)];
	u64 address = window->base + random_64() % window->bytes;
	unsigned size = window->space == BUS_MSR ? 8 : 1 + (unsigned)(random_64() % 8);
	unsigned vcpu = (unsigned)(random_64() % board->machine.vcpu_count);
	u64 value = random_64() >> random_64() % 64;

	if (window->space == BUS_PORT && size > 4)
		size = 4;
	board_access(board, vcpu, window->space, address, size, random_64() & 1, value);
}

/* What the processors and the world around do meanwhile. */
static void random_event(struct board *board)
{
	unsigned index = (unsigned)(random_64() % board->machine.vcpu_count);
	struct vcpu *vcpu = board->machine.vcpus[index];

	switch (random_64() % 10) {
	case 0:
		take_interrupt(board, index);
		break;
	case 1:
		vcpu->apic.ops->task_priority_set(vcpu->apic.object, random_64() & 15);
		break;
	case 2:
		board->console.receive(board->console.device, (const u8 *)"input", 5);
		break;
	case 3:
		board->output_bytes = 0;
		board->output_room = random_64() % 64;
		board->console.writable(board->console.device);
		break;
	case 4:
		pc_power_button(&board->machine);
		break;
	case 6:
		board->disk.waits = !board->disk.waits;
		break;
	case 7:
		fake_disk_finish(&board->disk, (unsigned)(random_64() % 3));
		break;
	case 5:
		vcpu->tsc_offset = random_64();
		break;
	default:
		clock_advance(&board->machine.clock, random_64() >> (30 + random_64() % 34));
		events_run(&board->machine, clock_now_ns(&board->machine.clock));
	}
}

static void every_access_has_an_answer(void **state)
{
	struct board *board = *state;

	random_state = 0x123456789abcdef1;
	for (unsigned i = 0; i < ACCESSES; i++) {
		random_access(board);
		if (i % 4 == 0)
			random_event(board);
		if (i % 10000 == 0)
			board->machine.reset(&board->machine);
	}
}

/* No event storm: a second of the machine's time is a bounded number of events, whatever is programmed. */
static void no_timer_can_flood_the_host(void **state)
{
	struct board *board = *state;
	struct machine *machine = &board->machine;
	unsigned fired = 0;

	static const u8 pit[][2] = {{0x43, 0x34}, {0x40, 1}, {0x40, 0}, {0x70, 0x0a}, {0x71, 0x23},
		{0x70, 0x0b}, {0x71, 0x42}};
	for (size_t i = 0; i < ARRAY_SIZE(pit); i++)
		out8(board, pit[i][0], pit[i][1]);
	board_access(board, 0, BUS_MEMORY, 0xfee003e0, 4, true, 0xb);
	board_access(board, 0, BUS_MEMORY, 0xfee00320, 4, true, 0x20040);
	board_access(board, 0, BUS_MEMORY, 0xfee00380, 4, true, 1);
	while (clock_now_ns(&machine->clock) < 100000000) {
		u64 next = events_next_deadline(machine);
		clock_advance(&machine->clock, next - clock_now_ns(&machine->clock));
		events_run(machine, next);
		assert_in_range(++fired, 0, 25000);
	}
}

/* ---- saved state ---- */

/* Devices in any state are saved and loaded, and go on alike. */
static void saved_devices_go_on_as_the_others(void **state)
{
	struct board *board = *state;

	random_state = 42;
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 3000; i++) {
			random_access(board);
			if (i % 4 == 0)
				random_event(board);
		}
		board->output_room = sizeof(board->output);
		board->disk.waits = false;
		struct board *other = board_saved_and_loaded(board);
		u64 here = random_state;
		for (unsigned i = 0; i < 500; i++) {
			board->output_bytes = other->output_bytes = 0;
			board->output_room = other->output_room = sizeof(board->output);
			u64 before = random_state;
			random_access(board);
			random_state = before;
			random_access(other);
			pass_ns(board, 10000);
			pass_ns(other, 10000);
		}
		random_state = here;
		assert_same(board, other);
		board_destroy(other);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		board_test_three(every_access_has_an_answer),
		board_test(no_timer_can_flood_the_host),
		board_test_three(saved_devices_go_on_as_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
