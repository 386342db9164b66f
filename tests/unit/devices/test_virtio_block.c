/* SPDX-License-Identifier: MIT */
/* The disk: what its driver asks, and what it gets. */
#include "driver.h"
#include "saved.h"

#define SLOT PC_SLOT_DISKS
#define SECTORS (BOARD_DISK_BYTES / 512)

#define FEATURE_RO BIT(5)
#define FEATURE_FLUSH BIT(9)
#define FEATURE_DISCARD BIT(13)
#define FEATURE_WRITE_ZEROES BIT(14)
#define FEATURES (FEATURE_FLUSH | FEATURE_DISCARD | FEATURE_WRITE_ZEROES)

enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, WRITE_ZEROES = 13 };
enum { OK = 0, IOERR = 1, UNSUPPORTED = 2, NOTHING = 0xee };

#define HEADER (DATA - 0x1000)
#define STATUS (DATA - 0x800)

static struct driver start_with(struct board *board, u64 features)
{
	struct driver driver = driver_find(board, SLOT, VIRTIO_BLOCK);

	driver_start(&driver, features);
	return driver;
}

static struct driver start(void **state)
{
	return start_with(*state, FEATURES);
}

/* Header, data, status, as Linux cuts them; heads are multiples of 3. */
static void ask_as(struct driver *driver, unsigned head, u32 type, u64 sector, u32 bytes)
{
	u64 header = HEADER + 16 * head, status = STATUS + head;
	bool is_in = type == IN || type == GET_ID;

	poke(driver, header, type, 8);
	poke(driver, header + 8, sector, 8);
	poke(driver, status, NOTHING, 1);
	put_descriptor(driver, RING_DESCRIPTORS, head, header, 16, FLAG_NEXT,
		(u16)(bytes ? head + 1 : head + 2));
	put_descriptor(driver, RING_DESCRIPTORS, head + 1, DATA, bytes,
		(u16)(FLAG_NEXT | (is_in ? FLAG_WRITE : 0)), (u16)(head + 2));
	put_descriptor(driver, RING_DESCRIPTORS, head + 2, status, 1, FLAG_WRITE, 0);
	make_available(driver, (u16)head);
	notify(driver);
}

static u8 ask(struct driver *driver, u32 type, u64 sector, u32 bytes)
{
	ask_as(driver, 0, type, sector, bytes);
	assert_int_equal(take_used(driver, NULL), 0);
	return (u8)peek(driver, STATUS, 1);
}

static u8 ask_range(struct driver *driver, u32 type, u64 sector, u32 sectors, u32 flags)
{
	poke(driver, DATA, sector, 8);
	poke(driver, DATA + 8, sectors, 4);
	poke(driver, DATA + 12, flags, 4);
	return ask(driver, type, 0, 16);
}

/* ---- requests ---- */

static void it_says_what_it_is(void **state)
{
	struct driver driver = start(state);

	assert_int_equal(get(&driver, driver.device, 8), SECTORS);
	assert_int_equal(get(&driver, driver.device, 4), SECTORS);
	assert_int_equal(get(&driver, driver.device + 12, 4), 254);
	assert_int_equal(get(&driver, driver.device + 20, 4), 512);
	assert_int_equal(get(&driver, driver.device + 34, 2), 1);
	assert_int_equal(get(&driver, driver.device + 60, 4), 0);
	put(&driver, driver.device, 4, 1);
	assert_int_equal(get(&driver, driver.device, 4), SECTORS);
	assert_int_equal(ask(&driver, GET_ID, 0, 20), OK);
	assert_string_equal((char *)ram(&driver, DATA), "serial number");
	assert_int_equal(ask(&driver, 99, 0, 0), UNSUPPORTED);
}

static void what_is_written_is_read(void **state)
{
	struct driver driver = start(state);
	struct board *board = *state;
	u32 written;

	for (unsigned i = 0; i < 4096; i++)
		*ram(&driver, DATA + i) = (u8)(i * 7);
	assert_int_equal(ask(&driver, OUT, 10, 4096), OK);
	assert_memory_equal(board->disk_content + 5120, ram(&driver, DATA), 4096);
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
	memset(ram(&driver, DATA), 0, 4096);
	ask_as(&driver, 0, IN, 10, 4096);
	assert_int_equal(take_used(&driver, &written), 0);
	assert_int_equal(written, 4097);
	assert_memory_equal(board->disk_content + 5120, ram(&driver, DATA), 4096);
	assert_int_equal(ask(&driver, IN, SECTORS - 1, 512), OK);
	assert_int_equal(ask(&driver, FLUSH, 0, 0), OK);
	assert_int_equal(board->disk.flushes, 1);
}

/* However the driver cuts it: 2.7.4.2, a device makes no assumption on framing. */
static void buffers_may_be_cut_anywhere(void **state)
{
	struct driver driver = start(state);
	struct board *board = *state;

	memset(board->disk_content + 512, 0xab, 512);
	poke(&driver, HEADER, IN, 8);
	poke(&driver, HEADER + 8, 1, 8);
	put_descriptor(&driver, RING_DESCRIPTORS, 0, HEADER, 3, FLAG_NEXT, 1);
	put_descriptor(&driver, RING_DESCRIPTORS, 1, HEADER + 3, 13, FLAG_NEXT, 2);
	put_descriptor(&driver, RING_DESCRIPTORS, 2, DATA, 500, FLAG_NEXT | FLAG_WRITE, 3);
	put_descriptor(&driver, RING_DESCRIPTORS, 3, DATA + 500, 13, FLAG_NEXT | FLAG_WRITE, 4);
	put_descriptor(&driver, RING_DESCRIPTORS, 4, 0, 0, FLAG_WRITE, 0);
	*ram(&driver, DATA + 512) = NOTHING;
	make_available(&driver, 0);
	notify(&driver);
	assert_int_equal(take_used(&driver, NULL), 0);
	assert_int_equal(*ram(&driver, DATA + 512), OK);
	assert_memory_equal(board->disk_content + 512, ram(&driver, DATA), 512);
	/* Header and data in one. */
	poke(&driver, HEADER, OUT, 8);
	memset(ram(&driver, HEADER + 16), 0xcd, 512);
	put_descriptor(&driver, RING_DESCRIPTORS, 0, HEADER, 528, FLAG_NEXT, 1);
	put_descriptor(&driver, RING_DESCRIPTORS, 1, STATUS, 1, FLAG_WRITE, 0);
	make_available(&driver, 0);
	notify(&driver);
	assert_int_equal(peek(&driver, STATUS, 1), OK);
	assert_int_equal(board->disk_content[1023], 0xcd);
}

static void what_is_not_on_the_disk_is_an_error(void **state)
{
	struct driver driver = start(state);
	struct board *board = *state;

	assert_int_equal(ask(&driver, IN, SECTORS, 512), IOERR);
	assert_int_equal(ask(&driver, IN, SECTORS - 1, 1024), IOERR);
	assert_int_equal(ask(&driver, OUT, ~(u64)0, 512), IOERR);
	assert_int_equal(ask(&driver, OUT, ~(u64)0 >> 9, 512), IOERR);
	assert_int_equal(ask(&driver, IN, 0, 511), IOERR);
	assert_int_equal(ask(&driver, IN, 0, 0), IOERR);
	assert_int_equal(ask_range(&driver, DISCARD, SECTORS - 1, 2, 0), IOERR);
	assert_int_equal(ask_range(&driver, WRITE_ZEROES, ~(u64)0, 1, 0), IOERR);
	assert_int_equal(ask_range(&driver, WRITE_ZEROES, 0, 0xffffffff, 0), IOERR);
	assert_int_equal(board->disk.reads + board->disk.writes + board->disk.zeroes, 0);
	assert_int_equal(ask(&driver, IN, 0, 512), OK);
}

static void ranges_are_discarded_and_zeroed(void **state)
{
	struct driver driver = start(state);
	struct board *board = *state;

	memset(board->disk_content, 0xff, 4096);
	assert_int_equal(ask_range(&driver, WRITE_ZEROES, 1, 2, 1), OK);
	assert_true(board->disk.may_unmap);
	assert_int_equal(board->disk_content[511], 0xff);
	assert_int_equal(board->disk_content[512] | board->disk_content[1535], 0);
	assert_int_equal(board->disk_content[1536], 0xff);
	assert_int_equal(ask_range(&driver, WRITE_ZEROES, 1, 2, 0), OK);
	assert_false(board->disk.may_unmap);
	assert_int_equal(ask_range(&driver, DISCARD, 1, 2, 0), OK);
	assert_int_equal(board->disk.discards, 1);
	assert_int_equal(ask_range(&driver, DISCARD, 1, 2, 1), UNSUPPORTED);
	assert_int_equal(ask_range(&driver, WRITE_ZEROES, 1, 2, 2), UNSUPPORTED);
	assert_int_equal(ask_range(&driver, WRITE_ZEROES, 1, 0, 0), OK);
	poke(&driver, DATA + 16, 0, 8);
	assert_int_equal(ask(&driver, DISCARD, 0, 32), IOERR); /* two ranges */
	driver = start_with(*state, 0);			       /* not agreed on */
	assert_int_equal(ask_range(&driver, DISCARD, 1, 2, 0), UNSUPPORTED);
}

static void without_flushes_a_write_ends_when_it_is_durable(void **state)
{
	struct driver driver = start_with(*state, 0);
	struct board *board = *state;

	assert_int_equal(ask(&driver, OUT, 0, 512), OK);
	assert_int_equal(board->disk.flushes, 1);
	assert_int_equal(ask(&driver, IN, 0, 512), OK);
	assert_int_equal(board->disk.flushes, 1);
}

static void a_read_only_disk_is_not_written(void **state)
{
	struct board *board = board_create_with(1, (struct board_options){.read_only = true});
	struct driver driver = driver_find(board, SLOT, VIRTIO_BLOCK);

	assert_true(offered(&driver) & FEATURE_RO);
	assert_false(offered(&driver) & (FEATURE_DISCARD | FEATURE_WRITE_ZEROES));
	driver_start(&driver, FEATURE_RO);
	assert_int_equal(ask(&driver, OUT, 0, 512), IOERR);
	assert_int_equal(ask_range(&driver, DISCARD, 0, 1, 0), UNSUPPORTED);
	assert_int_equal(ask(&driver, IN, 0, 512), OK);
	assert_int_equal(board->disk.writes, 0);
	board_destroy(board);
}

static void the_hosts_failure_is_an_error_for_that_request_only(void **state)
{
	struct driver driver = start(state);
	struct board *board = *state;

	board->disk.outcome = STATUS_IO;
	assert_int_equal(ask(&driver, OUT, 0, 512), IOERR);
	board->disk.outcome = STATUS_UNSUPPORTED;
	assert_int_equal(ask(&driver, FLUSH, 0, 0), UNSUPPORTED);
	board->disk.outcome = STATUS_OK;
	assert_int_equal(ask(&driver, OUT, 0, 512), OK);
}

/* ---- in flight ---- */

static void many_are_in_flight_at_once(void **state)
{
	struct driver driver = start(state);
	struct board *board = *state;

	board->disk.waits = true;
	for (unsigned head = 0; head < 15; head += 3)
		ask_as(&driver, head, IN, head, 512);
	assert_int_equal(take_used(&driver, NULL), -1);
	assert_int_equal(fake_disk_finish(&board->disk, 2), 2);
	assert_int_equal(take_used(&driver, NULL), 0);
	assert_int_equal(take_used(&driver, NULL), 3);
	assert_int_equal(take_used(&driver, NULL), -1);
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
	assert_int_equal(take_vector(&driver), -1); /* one for both */
	assert_int_equal(fake_disk_finish(&board->disk, 9), 3);
	assert_int_equal(take_used(&driver, NULL), 6);
}

static void a_reset_waits_for_what_is_in_flight(void **state)
{
	struct driver driver = start(state);
	struct board *board = *state;

	board->disk.waits = true;
	ask_as(&driver, 0, IN, 0, 512);
	ask_as(&driver, 3, IN, 0, 512);
	set_status(&driver, 0);
	assert_int_not_equal(status_of(&driver), 0);
	set_status(&driver, VIRTIO_ACKNOWLEDGE); /* too early: not heard */
	notify(&driver);
	fake_disk_finish(&board->disk, 1);
	assert_int_not_equal(status_of(&driver), 0);
	fake_disk_finish(&board->disk, 1);
	assert_int_equal(status_of(&driver), 0);
	assert_int_equal(peek(&driver, RING_DEVICE + 2, 2), 0);
	assert_int_equal(peek(&driver, STATUS, 1), NOTHING);
	assert_int_equal(take_vector(&driver), -1);
	board->disk.waits = false;
	driver = start(state);
	assert_int_equal(ask(&driver, IN, 0, 512), OK);
}

static void the_machines_reset_waits_for_what_is_in_flight(void **state)
{
	struct driver driver = start(state);
	struct board *board = *state;

	board->disk.waits = true;
	ask_as(&driver, 0, IN, 0, 512);
	board->machine.reset(&board->machine);
	assert_int_equal(board->disk.reads, 1);
	assert_int_equal(status_of(&driver), 0);
	board->disk.waits = false;
	driver = start(state);
	assert_int_equal(ask(&driver, IN, 0, 512), OK);
}

/* The same chain again and again while it is in flight: as many as the ring has, not more. */
static void what_is_in_flight_has_ended_when_a_machine_is_saved(void **state)
{
	struct board *board = *state;
	struct driver driver = start(state);

	memset(ram(&driver, DATA), 0x5a, 512);
	board->disk.waits = true;
	for (unsigned i = 0; i < 5; i++)
		ask_as(&driver, 3 * i, OUT, i, 512);
	assert_int_equal(take_used(&driver, NULL), -1);
	driver.board = board_saved_and_loaded(board);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(take_used(&driver, NULL), 3 * i);
		assert_int_equal(peek(&driver, STATUS + 3 * i, 1), OK);
		assert_memory_equal(driver.board->disk_content + 512 * i, ram(&driver, DATA), 512);
	}
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
	driver.queue = 0;
	assert_int_equal(ask(&driver, IN, 4, 512), OK);
	board_destroy(driver.board);
}

static void a_reset_that_waits_is_over_when_a_machine_is_saved(void **state)
{
	struct board *board = *state;
	struct driver driver = start(state);

	board->disk.waits = true;
	ask_as(&driver, 0, OUT, 0, 512);
	set_status(&driver, 0);
	assert_int_not_equal(status_of(&driver), 0);
	driver.board = board_saved_and_loaded(board);
	assert_int_equal(status_of(&driver), 0);
	driver_start(&driver, FEATURES);
	assert_int_equal(ask(&driver, IN, 0, 512), OK);
	board_destroy(driver.board);
}

static void a_chain_given_twice_harms_nobody(void **state)
{
	struct driver driver = start(state);
	struct board *board = *state;

	board->disk.waits = true;
	for (unsigned i = 0; i < 100; i++)
		ask_as(&driver, 0, IN, 0, 512);
	while (fake_disk_finish(&board->disk, 1))
		;
	set_status(&driver, 0);
	assert_int_equal(status_of(&driver), 0);
	board->disk.waits = false;
	driver = start(state);
	assert_int_equal(ask(&driver, IN, 0, 512), OK);
}

static void requests_without_header_or_status_need_a_reset(void **state)
{
	struct driver driver = start(state);

	put_descriptor(&driver, RING_DESCRIPTORS, 0, HEADER, 15, FLAG_NEXT, 1);
	put_descriptor(&driver, RING_DESCRIPTORS, 1, STATUS, 1, FLAG_WRITE, 0);
	make_available(&driver, 0);
	notify(&driver);
	assert_true(status_of(&driver) & VIRTIO_NEEDS_RESET);
	driver = start(state);
	put_descriptor(&driver, RING_DESCRIPTORS, 0, HEADER, 528, 0, 0);
	make_available(&driver, 0);
	notify(&driver);
	assert_true(status_of(&driver) & VIRTIO_NEEDS_RESET);
	driver = start(state);
	put_descriptor(&driver, RING_DESCRIPTORS, 0, HEADER, 16, FLAG_NEXT, 1);
	put_descriptor(&driver, RING_DESCRIPTORS, 1, STATUS, 0, FLAG_WRITE, 0);
	make_available(&driver, 0);
	notify(&driver);
	assert_true(status_of(&driver) & VIRTIO_NEEDS_RESET);
	driver = start(state);
	assert_int_equal(ask(&driver, IN, 0, 512), OK);
}

/* ---- a minute of anything ---- */

#define ROUNDS 400000

static u64 random_state = 88172645463325252;

static u64 random_64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Addresses that hit: rings, data, the ends of RAM; or anything. */
static u64 random_address(void)
{
	static const u64 places[] = {RING_DESCRIPTORS, RING_DRIVER, RING_DEVICE, DATA, DATA, DATA,
		HEADER, BOARD_RAM_BYTES - 64, 0, PC_PCI_WINDOW};

	if (random_64() % 32 == 0)
		return random_64();
	return places[random_64() % ARRAY_SIZE(places)] + random_64() % 64;
}

static void random_step(struct driver *driver)
{
	struct board *board = driver->board;
	static const u32 sizes[] = {0, 1, 15, 16, 17, 512, 513, 4096, 0x10000, 0xffffffff};

	switch (random_64() % 12) {
	case 0:
		poke(driver, RING_DESCRIPTORS + random_64() % 0x3000, random_64(), 8);
		break;
	case 1:
		poke(driver, HEADER + 16 * (random_64() % 8), random_64() % 16, 4);
		poke(driver, HEADER + 16 * (random_64() % 8) + 8, random_64() % (2 * SECTORS), 8);
		break;
	case 2 ... 4:
		put_descriptor(driver, RING_DESCRIPTORS, random_64() % 16, random_address(),
			sizes[random_64() % ARRAY_SIZE(sizes)], random_64() % 8, random_64() % 18);
		break;
	case 5 ... 7:
		make_available(driver, random_64() % 17);
		notify(driver);
		break;
	case 8:
		put(driver, driver->common + random_64() % 0x40, 1u << random_64() % 4,
			random_64() % 3 ? random_64() % 256 : random_64());
		break;
	case 9:
		fake_disk_finish(&board->disk, random_64() % 4);
		break;
	case 10:
		board->disk.waits = random_64() & 1;
		break;
	case 11:
		ask_as(driver, 3 * (random_64() % 5), random_64() % 14, random_64() % SECTORS, 512);
		break;
	}
}

static void anything_a_driver_may_do_ends_in_a_reset_at_worst(void **state)
{
	struct board *board = *state;
	struct driver driver = start(state);

	for (unsigned i = 0; i < ROUNDS; i++) {
		random_step(&driver);
		if (i % 64)
			continue;
		board->disk.waits = false;
		fake_disk_finish(&board->disk, ~0u);
		driver = start(state);
	}
	board->disk.waits = false;
	fake_disk_finish(&board->disk, ~0u);
	memset(ram(&driver, DATA - 0x1000), 0, 0x2000);
	driver = start(state);
	assert_int_equal(ask(&driver, IN, 0, 512), OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		board_test(it_says_what_it_is),
		board_test(what_is_written_is_read),
		board_test(buffers_may_be_cut_anywhere),
		board_test(what_is_not_on_the_disk_is_an_error),
		board_test(ranges_are_discarded_and_zeroed),
		board_test(without_flushes_a_write_ends_when_it_is_durable),
		board_test(a_read_only_disk_is_not_written),
		board_test(the_hosts_failure_is_an_error_for_that_request_only),
		board_test(many_are_in_flight_at_once),
		board_test(a_reset_waits_for_what_is_in_flight),
		board_test(the_machines_reset_waits_for_what_is_in_flight),
		board_test(what_is_in_flight_has_ended_when_a_machine_is_saved),
		board_test(a_reset_that_waits_is_over_when_a_machine_is_saved),
		board_test(a_chain_given_twice_harms_nobody),
		board_test(requests_without_header_or_status_need_a_reset),
		board_test(anything_a_driver_may_do_ends_in_a_reset_at_worst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
