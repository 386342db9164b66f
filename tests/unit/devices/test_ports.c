/* SPDX-License-Identifier: MIT */
/* Serial port, keyboard controller, power management, reset and exit ports. */
#include "board.h"

#define COM1 0x3f8

static size_t offer(struct board *board, const char *text)
{
	return board->console.receive(board->console.device, (const u8 *)text, strlen(text));
}

static void serial_open(struct board *board)
{
	out8(board, COM1 + 2, 1);
	out8(board, COM1 + 4, 0x0b);
}

/* ---- serial ---- */

static void serial_writes_byte_for_byte(void **state)
{
	struct board *board = *state;

	for (const char *c = "hello"; *c; c++) {
		assert_int_equal(in8(board, COM1 + 5), 0x60);
		out8(board, COM1, (u8)*c);
	}
	assert_memory_equal(board->output, "hello", 5);
	assert_int_equal(board->output_bytes, 5);
}

static void serial_loses_no_output_when_the_console_is_full(void **state)
{
	struct board *board = *state;

	serial_open(board);
	board->output_room = 1;
	for (u8 i = 0; i < 17; i++)
		out8(board, COM1, 'a' + i);
	assert_int_equal(board->output_bytes, 1);
	assert_int_equal(in8(board, COM1 + 5), 0);
	board->output_room = 10;
	board->console.writable(board->console.device);
	assert_int_equal(in8(board, COM1 + 5), 0);
	board->output_room = 10;
	board->console.writable(board->console.device);
	assert_int_equal(in8(board, COM1 + 5), 0x60);
	assert_memory_equal(board->output, "abcdefghijklmnopq", 17);
}

static void serial_interrupts_when_it_can_send(void **state)
{
	struct board *board = *state;

	open_pics(board);
	serial_open(board);
	out8(board, COM1 + 1, 2);
	assert_int_equal(take_interrupt(board, 0), 0x34);
	assert_int_equal(in8(board, COM1 + 2), 0xc2);
	assert_int_equal(in8(board, COM1 + 2), 0xc1); /* reading it was the answer */
	out8(board, 0x20, 0x20);
	out8(board, COM1, 'x');
	assert_int_equal(take_interrupt(board, 0), 0x34);
	out8(board, COM1 + 4, 0x03); /* OUT2 down: no wire */
	out8(board, 0x20, 0x20);
	out8(board, COM1, 'y');
	assert_int_equal(take_interrupt(board, 0), -1);
}

static void serial_takes_what_fits_and_asks_for_more(void **state)
{
	struct board *board = *state;

	open_pics(board);
	assert_int_equal(offer(board, "xyz"), 1); /* no FIFO yet */
	assert_int_equal(in8(board, COM1), 'x');
	assert_int_equal(board->input_resumed, 1);
	serial_open(board);
	out8(board, COM1 + 2, 0x81); /* trigger at 8 */
	out8(board, COM1 + 1, 1);
	assert_int_equal(offer(board, "0123"), 4);
	assert_int_equal(in8(board, COM1 + 2), 0xcc);
	assert_int_equal(take_interrupt(board, 0), 0x34);
	assert_int_equal(offer(board, "456789abcdefghij"), 12);
	assert_int_equal(in8(board, COM1 + 2), 0xc4);
	for (const char *c = "0123456789abcdef"; *c; c++) {
		assert_int_equal(in8(board, COM1 + 5) & 1, 1);
		assert_int_equal(in8(board, COM1), *c);
	}
	assert_int_equal(in8(board, COM1 + 5) & 1, 0);
	assert_int_equal(board->input_resumed, 2);
	assert_int_equal(in8(board, COM1 + 2), 0xc1);
}

static void serial_keeps_input_over_a_driver_that_opens_it(void **state)
{
	struct board *board = *state;

	offer(board, "i");
	out8(board, COM1 + 2, 7); /* clears the FIFOs, and reads a byte away */
	assert_int_equal(in8(board, COM1 + 5) & 1, 0);
	in8(board, COM1);
	pass_ns(board, 2000000);
	assert_int_equal(in8(board, COM1 + 5) & 1, 1);
	assert_int_equal(in8(board, COM1), 'i');
}

static void serial_loops_back(void **state)
{
	struct board *board = *state;

	out8(board, COM1 + 4, 0x1a);
	assert_int_equal(in8(board, COM1 + 6) & 0xf0, 0x90);
	out8(board, COM1 + 2, 1);
	out8(board, COM1, 0xa5);
	assert_int_equal(in8(board, COM1 + 5), 0x61);
	assert_int_equal(in8(board, COM1), 0xa5);
	for (unsigned i = 0; i < 17; i++)
		out8(board, COM1, (u8)i);
	assert_int_equal(in8(board, COM1 + 5) & 2, 2);
	assert_int_equal(in8(board, COM1 + 5) & 2, 0);
	assert_int_equal(offer(board, "lost?"), 0);
	assert_int_equal(board->output_bytes, 0);
}

static void serial_has_latch_and_scratch(void **state)
{
	struct board *board = *state;

	out8(board, COM1 + 3, 0x83);
	out8(board, COM1, 0x34);
	out8(board, COM1 + 1, 0x12);
	assert_int_equal(in16(board, COM1), 0x1234);
	out8(board, COM1 + 3, 0x03);
	assert_int_equal(in8(board, COM1 + 1), 0);
	out8(board, COM1 + 1, 0xff);
	assert_int_equal(in8(board, COM1 + 1), 0x0f);
	out8(board, COM1 + 7, 0x5a);
	assert_int_equal(in8(board, COM1 + 7), 0x5a);
	assert_int_equal(in8(board, 0x2f8 + 5), 0xff); /* there is no second one */
}

/* ---- i8042 ---- */

static u8 i8042_ask(struct board *board, u8 command)
{
	out8(board, 0x64, command);
	assert_int_equal(in8(board, 0x64) & 1, 1);
	return in8(board, 0x60);
}

static void i8042_answers_a_probe(void **state)
{
	struct board *board = *state;

	assert_int_equal(i8042_ask(board, 0xaa), 0x55);
	assert_int_equal(i8042_ask(board, 0xab), 0x00);
	assert_int_not_equal(i8042_ask(board, 0xa9), 0x00);
	out8(board, 0x64, 0x60);
	out8(board, 0x60, 0x34);
	assert_int_equal(i8042_ask(board, 0x20), 0x34);
	assert_int_equal(in8(board, 0x64) & 1, 0);
	out8(board, 0x60, 0xf2); /* no keyboard: it times out */
	assert_int_equal(in8(board, 0x64) & 0x41, 0x41);
	assert_int_equal(in8(board, 0x60), 0xfe);
}

static void i8042_interrupts_when_it_has_a_byte(void **state)
{
	struct board *board = *state;

	open_pics(board);
	out8(board, 0x64, 0x60);
	out8(board, 0x60, 0x01);
	out8(board, 0x64, 0xd2);
	out8(board, 0x60, 0x1c);
	assert_int_equal(take_interrupt(board, 0), 0x31);
	assert_int_equal(in8(board, 0x60), 0x1c);
}

/* ---- reset, exit, power ---- */

static void assert_resets(struct board *board)
{
	assert_int_equal(board->machine.reset_requested, 1);
	board->machine.reset_requested = 0;
}

static void every_reset_port_resets(void **state)
{
	struct board *board = *state;

	out32(board, 0xcf8, 0x8000ffff); /* a PCI address, not a reset */
	assert_int_equal(board->machine.reset_requested, 0);
	assert_int_equal(in32(board, 0xcf8), 0x8000fffc);
	assert_int_equal(in32(board, 0xcfc), 0xffffffff); /* no such function */
	out32(board, 0xcf8, 0x80000000);
	assert_int_equal(in32(board, 0xcfc), 0x00081b36); /* the host bridge */
	out32(board, 0xcf8, 0x80000008);
	assert_int_equal(in32(board, 0xcfc) >> 16, 0x0600);
	out32(board, 0xcf8, 0);
	assert_int_equal(in32(board, 0xcfc), 0xffffffff);
	out8(board, 0xcf9, 0x02);
	assert_int_equal(board->machine.reset_requested, 0);
	out8(board, 0xcf9, 0x06);
	assert_resets(board);
	out8(board, 0x64, 0xfe);
	assert_resets(board);
	out8(board, 0x64, 0xd1);
	out8(board, 0x60, 0xfe);
	assert_resets(board);
	out8(board, 0x92, 0x03);
	assert_resets(board);
	assert_int_equal(in8(board, 0x92), 0x03);
	assert_int_equal(board->boots, 1);
	board->machine.reset(&board->machine);
	assert_int_equal(board->boots, 2);
	assert_int_equal(in8(board, 0x92), 0x02);
}

static void exit_port_ends_the_machine(void **state)
{
	struct board *board = *state;

	out8(board, 0xf4, 0x80 | 42);
	assert_int_equal(board->machine.exit, MACHINE_EXIT_PORT);
	assert_int_equal(board->machine.exit_value, 42);
}

static void a_panic_is_told_once_until_the_reset(void **state)
{
	struct board *board = *state;

	assert_int_equal(in8(board, 0x505), 3);
	out8(board, 0x505, 0xfc); /* nothing that there is */
	assert_int_equal(board->panics[0] + board->panics[1], 0);
	out8(board, 0x505, 1);
	out8(board, 0x505, 1);
	assert_int_equal(board->panics[0], 1);
	out8(board, 0x505, 0xff);
	assert_int_equal(board->panics[0], 1);
	assert_int_equal(board->panics[1], 1);
	board->machine.reset(&board->machine);
	out8(board, 0x505, 1);
	assert_int_equal(board->panics[0], 2);
	assert_false(machine_has_ended(&board->machine));
}

static void sleep_type_5_powers_off(void **state)
{
	struct board *board = *state;

	assert_int_equal(in16(board, 0x604), 1); /* SCI_EN */
	out16(board, 0x604, 1 << 10 | 1 << 13);
	assert_int_equal(board->machine.exit, MACHINE_RUNS);
	out16(board, 0x604, PC_S5_SLEEP_TYPE << 10);
	assert_int_equal(board->machine.exit, MACHINE_RUNS);
	out16(board, 0x604, PC_S5_SLEEP_TYPE << 10 | 1 << 13);
	assert_int_equal(board->machine.exit, MACHINE_POWER_OFF);
}

static void power_button_raises_the_sci(void **state)
{
	struct board *board = *state;

	open_pics(board);
	out16(board, 0x602, 1 << 8);
	pc_power_button(&board->machine);
	assert_int_equal(take_interrupt(board, 0), 0x39);
	assert_int_equal(in16(board, 0x600), 1 << 8);
	out16(board, 0x600, 1 << 8);
	assert_int_equal(in16(board, 0x600), 0);
}

static void gpe_block_keeps_enables(void **state)
{
	struct board *board = *state;

	out32(board, 0x628, 0x12345678);
	assert_int_equal(in32(board, 0x628), 0x12345678);
	assert_int_equal(in32(board, 0x620), 0);
}

static void acpi_platform_says_where_things_are(void **state)
{
	struct board *board = *state;
	struct acpi_platform platform = pc_acpi_platform(&board->machine);

	assert_int_equal(platform.pm1_control_port, 0x604);
	assert_int_equal(platform.cpu_count, 1);
	out8(board, platform.reset_port, platform.reset_value);
	assert_resets(board);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		board_test(serial_writes_byte_for_byte),
		board_test(serial_loses_no_output_when_the_console_is_full),
		board_test(serial_interrupts_when_it_can_send),
		board_test(serial_takes_what_fits_and_asks_for_more),
		board_test(serial_keeps_input_over_a_driver_that_opens_it),
		board_test(serial_loops_back),
		board_test(serial_has_latch_and_scratch),
		board_test(i8042_answers_a_probe),
		board_test(i8042_interrupts_when_it_has_a_byte),
		board_test(every_reset_port_resets),
		board_test(exit_port_ends_the_machine),
		board_test(a_panic_is_told_once_until_the_reset),
		board_test(sleep_type_5_powers_off),
		board_test(power_button_raises_the_sci),
		board_test(gpe_block_keeps_enables),
		board_test(acpi_platform_says_where_things_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
