/* SPDX-License-Identifier: MIT */
/* The balloon: memory that goes back to the host, and the guest's statistics. */
#include "driver.h"

#define FEATURE_STATS BIT(1)
#define FEATURE_REPORTING BIT(5)
#define PAGE ((u64)4096)

enum { INFLATE, DEFLATE, STATISTICS, REPORTING_LINUX, REPORTING };

static struct driver start_queue(struct board *board, unsigned queue, u64 features)
{
	struct driver driver = driver_find(board, PC_SLOT_BALLOON, VIRTIO_BALLOON);

	driver.queue = queue;
	driver_start(&driver, features);
	memset(ram(&driver, DATA), 0x55, 16 * PAGE);
	return driver;
}

static void give(struct driver *driver, u64 address, u32 bytes, u16 flags)
{
	put_descriptor(driver, RING_DESCRIPTORS, 0, address, bytes, flags, 0);
	make_available(driver, 0);
	notify(driver);
}

static bool is_released(struct driver *driver, unsigned page)
{
	return !peek(driver, DATA + page * PAGE, 8) && !peek(driver, DATA + page * PAGE + 4088, 8);
}

static void reported_pages_go_back_to_the_host(void **state)
{
	for (unsigned queue = REPORTING_LINUX; queue <= REPORTING; queue++) {
		struct driver driver = start_queue(*state, queue, FEATURE_REPORTING);

		give(&driver, DATA + PAGE, 2 * PAGE, FLAG_WRITE);
		assert_int_equal(take_used(&driver, NULL), 0);
		assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
		assert_false(is_released(&driver, 0));
		assert_true(is_released(&driver, 1) && is_released(&driver, 2));
		assert_false(is_released(&driver, 3));
		/* Only whole pages. */
		give(&driver, DATA + 4 * PAGE + 1, 2 * PAGE, FLAG_WRITE);
		assert_int_equal(peek(&driver, DATA + 4 * PAGE, 1), 0x55);
		assert_true(is_released(&driver, 5));
		assert_int_equal(peek(&driver, DATA + 6 * PAGE, 1), 0x55);
	}
}

static void what_was_not_agreed_on_is_not_done(void **state)
{
	struct driver driver = start_queue(*state, REPORTING, 0);

	give(&driver, DATA, PAGE, FLAG_WRITE);
	assert_int_equal(take_used(&driver, NULL), 0);
	assert_false(is_released(&driver, 0));
}

static void an_inflated_balloon_gives_its_pages_back(void **state)
{
	struct driver driver = start_queue(*state, INFLATE, 0);
	u64 list = DATA + 15 * PAGE;
	static const u32 pages[] = {1, 2, 3, 7, 6, 0xfffff, 0xffffffff, 9};

	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		poke(&driver, list + 4 * i, pages[i] < 16 ? pages[i] + DATA / PAGE : pages[i], 4);
	give(&driver, list, sizeof(pages) + 3, 0);
	assert_int_equal(take_used(&driver, NULL), 0);
	for (unsigned page = 0; page < 15; page++)
		assert_int_equal(is_released(&driver, page),
			(page >= 1 && page <= 3) || page == 6 || page == 7 || page == 9);
	put(&driver, driver.device + 4, 4, 6);
	assert_int_equal(get(&driver, driver.device + 4, 4), 6);
	put(&driver, driver.device, 4, 6); /* the host's */
	assert_int_equal(get(&driver, driver.device, 4), 0);
}

static void statistics_keep_their_chain(void **state)
{
	struct driver driver = start_queue(*state, STATISTICS, FEATURE_STATS);

	poke(&driver, DATA, 4, 2);
	poke(&driver, DATA + 2, 123456, 8);
	poke(&driver, DATA + 10, 77, 2); /* unknown */
	give(&driver, DATA, 23, 0);
	assert_int_equal(take_used(&driver, NULL), -1);
	give(&driver, DATA, 20, 0); /* a second one gives the first back */
	assert_int_equal(take_used(&driver, NULL), 0);
	set_status(&driver, 0);
	assert_int_equal(status_of(&driver), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		board_test(reported_pages_go_back_to_the_host),
		board_test(what_was_not_agreed_on_is_not_done),
		board_test(an_inflated_balloon_gives_its_pages_back),
		board_test(statistics_keep_their_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
