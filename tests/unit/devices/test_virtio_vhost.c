/* SPDX-License-Identifier: MIT */
/* A device of which another process does the work: what it is given, what the guest is told, and when that process goes. */
#include "driver.h"
#include "saved.h"

enum { HIGH_PRIORITY, REQUESTS };

static struct driver start(struct board *board)
{
	struct driver driver = driver_find(board, PC_SLOT_SHARE, VIRTIO_FS);

	driver.queue = REQUESTS;
	driver_start(&driver, VIRTIO_F_INDIRECT_DESC);
	return driver;
}

/* A request of 40 bytes, an answer of up to 100. */
static void ask(struct driver *driver)
{
	put_descriptor(driver, RING_DESCRIPTORS, 0, DATA, 40, FLAG_NEXT, 1);
	put_descriptor(driver, RING_DESCRIPTORS, 1, DATA + 0x1000, 0, FLAG_NEXT, 2);
	put_descriptor(driver, RING_DESCRIPTORS, 2, DATA + 0x2000, 100, FLAG_WRITE, 0);
	make_available(driver, 0);
	notify(driver);
}

static void it_says_what_it_is(void **state)
{
	struct driver driver = start(*state);

	assert_int_equal(get(&driver, driver.common + REGISTER_QUEUES, 2), 2);
	assert_int_equal(get(&driver, driver.device, 4), 0x72616873); /* shar */
	assert_int_equal(get(&driver, driver.device + 36, 4), 1);
}

static void a_request_goes_out_and_comes_back(void **state)
{
	struct board *board = *state;
	struct driver driver = start(board);
	struct fake_vhost_request *request = &board->vhost.requests[0];
	u32 written;

	ask(&driver);
	assert_int_equal(board->vhost.count, 1);
	assert_int_equal(board->vhost.starts, 1);
	assert_int_equal(request->queue, REQUESTS);
	/* Without the empty buffer. */
	assert_int_equal(request->count, 2);
	assert_int_equal(request->buffers[0].offset, DATA);
	assert_int_equal(request->buffers[0].bytes, 40);
	assert_false(request->buffers[0].is_writable);
	assert_int_equal(request->buffers[1].offset, DATA + 0x2000);
	assert_true(request->buffers[1].is_writable);
	assert_int_equal(take_used(&driver, NULL), -1);
	assert_true(fake_vhost_finish(&board->vhost, 77));
	assert_int_equal(take_used(&driver, &written), 0);
	assert_int_equal(written, 77);
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
}

static void a_request_of_nothing_is_done_at_once(void **state)
{
	struct board *board = *state;
	struct driver driver = start(board);

	put_descriptor(&driver, RING_DESCRIPTORS, 0, DATA, 0, 0, 0);
	make_available(&driver, 0);
	notify(&driver);
	assert_int_equal(board->vhost.count, 0);
	assert_int_equal(take_used(&driver, NULL), 0);
}

static void what_lies_outside_of_memory_is_not_handed_on(void **state)
{
	struct board *board = *state;
	struct driver driver = start(board);

	put_descriptor(&driver, RING_DESCRIPTORS, 0, BOARD_RAM_BYTES - 8, 16, FLAG_WRITE, 0);
	make_available(&driver, 0);
	notify(&driver);
	assert_int_equal(board->vhost.count, 0);
	assert_true(status_of(&driver) & VIRTIO_NEEDS_RESET);
}

static void a_request_that_has_no_room_waits(void **state)
{
	struct board *board = *state;
	struct driver driver = start(board);

	ask(&driver);
	board->vhost.has_no_room = true;
	ask(&driver);
	assert_int_equal(board->vhost.count, 1);
	board->vhost.has_no_room = false;
	fake_vhost_finish(&board->vhost, 0);
	assert_int_equal(board->vhost.count, 1);
	assert_int_equal(take_used(&driver, NULL), 0);
	fake_vhost_finish(&board->vhost, 0);
	assert_int_equal(take_used(&driver, NULL), 0);
}

static void a_reset_waits_for_what_is_in_flight(void **state)
{
	struct board *board = *state;
	struct driver driver = start(board);

	ask(&driver);
	set_status(&driver, 0);
	assert_int_not_equal(status_of(&driver), 0);
	fake_vhost_finish(&board->vhost, 0);
	assert_int_equal(status_of(&driver), 0);
	/* So does a whole machine's. */
	driver = start(board);
	ask(&driver);
	board->machine.reset(&board->machine);
	assert_int_equal(board->vhost.count, 0);
}

static void a_process_that_has_gone_needs_a_reset(void **state)
{
	struct board *board = *state;
	struct driver driver = start(board);

	ask(&driver);
	fake_vhost_lose(&board->vhost);
	assert_true(status_of(&driver) & VIRTIO_NEEDS_RESET);
	/* Nobody says how far it got. */
	assert_int_equal(take_used(&driver, NULL), -1);
	driver = start(board);
	ask(&driver);
	assert_int_equal(board->vhost.count, 0);
	assert_true(status_of(&driver) & VIRTIO_NEEDS_RESET);
}

static void it_is_saved_when_nothing_is_in_flight(void **state)
{
	struct board *board = *state, *other;
	struct driver driver = start(board);

	ask(&driver);
	other = board_saved_and_loaded(board);
	driver.board = other;
	assert_int_equal(take_used(&driver, NULL), 0);
	ask(&driver);
	fake_vhost_finish(&other->vhost, 5);
	assert_int_equal(take_used(&driver, NULL), 0);
	board_destroy(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		board_test(it_says_what_it_is),
		board_test(a_request_goes_out_and_comes_back),
		board_test(a_request_of_nothing_is_done_at_once),
		board_test(what_lies_outside_of_memory_is_not_handed_on),
		board_test(a_request_that_has_no_room_waits),
		board_test(a_reset_waits_for_what_is_in_flight),
		board_test(a_process_that_has_gone_needs_a_reset),
		board_test(it_is_saved_when_nothing_is_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
