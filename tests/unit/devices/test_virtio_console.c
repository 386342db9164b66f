/* SPDX-License-Identifier: MIT */
/* The virtio console: bytes out, bytes in, and a place that has no room. */
#include "driver.h"

enum { RECEIVE, TRANSMIT };

static int setup(void **state)
{
	*state = board_create_with(1, (struct board_options){.console_is_virtio = true});
	return 0;
}

static struct driver start_queue(struct board *board, unsigned queue)
{
	struct driver driver = driver_find(board, PC_SLOT_CONSOLE, VIRTIO_CONSOLE);

	driver.queue = queue;
	driver_start(&driver, VIRTIO_F_EVENT_IDX);
	return driver;
}

static void send(struct driver *driver, const char *first, const char *second)
{
	memcpy(ram(driver, DATA), first, strlen(first));
	memcpy(ram(driver, DATA + 64), second, strlen(second));
	put_descriptor(driver, RING_DESCRIPTORS, 0, DATA, (u32)strlen(first), FLAG_NEXT, 1);
	put_descriptor(driver, RING_DESCRIPTORS, 1, DATA + 64, (u32)strlen(second), 0, 0);
	make_available(driver, 0);
	notify(driver);
}

static void assert_output(struct board *board, const char *expected)
{
	assert_int_equal(board->output_bytes, strlen(expected));
	assert_memory_equal(board->output, expected, strlen(expected));
}

static void what_is_sent_comes_out(void **state)
{
	struct board *board = *state;
	struct driver driver = start_queue(board, TRANSMIT);

	send(&driver, "hello, ", "world");
	assert_output(board, "hello, world");
	assert_int_equal(take_used(&driver, NULL), 0);
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
	out8(board, PC_PORT_SERIAL0, 'x'); /* the serial port leads nowhere */
	pass_ns(board, 10000000);
	assert_output(board, "hello, world");
}

static void what_has_no_room_waits_for_it(void **state)
{
	struct board *board = *state;
	struct driver driver = start_queue(board, TRANSMIT);

	board->output_room = 9;
	send(&driver, "hello, ", "world");
	assert_output(board, "hello, wo");
	assert_int_equal(take_used(&driver, NULL), -1);
	board->output_room = 100;
	board->console.writable(board->console.device);
	assert_output(board, "hello, world");
	assert_int_equal(take_used(&driver, NULL), 0);
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
}

static void input_waits_for_buffers(void **state)
{
	struct board *board = *state;
	struct driver driver = driver_find(board, PC_SLOT_CONSOLE, VIRTIO_CONSOLE);
	struct console_device *console = &board->console;
	u32 written;

	assert_int_equal(console->receive(console->device, (const u8 *)"ab", 2), 0);
	driver = start_queue(board, RECEIVE);
	assert_int_equal(console->receive(console->device, (const u8 *)"ab", 2), 0);
	unsigned resumed = board->input_resumed;
	put_descriptor(&driver, RING_DESCRIPTORS, 0, DATA, 3, FLAG_WRITE, 0);
	make_available(&driver, 0);
	notify(&driver);
	assert_true(board->input_resumed > resumed);
	assert_int_equal(console->receive(console->device, (const u8 *)"abcde", 5), 3);
	assert_int_equal(take_used(&driver, &written), 0);
	assert_int_equal(written, 3);
	assert_memory_equal(ram(&driver, DATA), "abc", 3);
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_sent_comes_out, setup, board_teardown),
		cmocka_unit_test_setup_teardown(
			what_has_no_room_waits_for_it, setup, board_teardown),
		cmocka_unit_test_setup_teardown(input_waits_for_buffers, setup, board_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
