/* SPDX-License-Identifier: MIT */
/* What all virtio devices share: features, status, queues; shown on the source of entropy, the simplest of them. */
#include "driver.h"

#define SLOT PC_SLOT_ENTROPY
#define ALL_OK (VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK)

static struct driver find(void **state)
{
	return driver_find(*state, SLOT, VIRTIO_ENTROPY);
}

static bool needs_reset(struct driver *driver)
{
	return status_of(driver) & VIRTIO_NEEDS_RESET;
}

/* One buffer to write, in descriptor 0. */
static void give(struct driver *driver, u64 address, u32 bytes)
{
	put_descriptor(driver, RING_DESCRIPTORS, 0, address, bytes, FLAG_WRITE, 0);
	make_available(driver, 0);
	notify(driver);
}

static void assert_works(struct driver *driver)
{
	u32 written;

	memset(ram(driver, DATA), 0, 64);
	give(driver, DATA, 32);
	assert_int_equal(take_used(driver, &written), 0);
	assert_int_equal(written, 32);
	assert_true(peek(driver, DATA, 8) && peek(driver, DATA + 24, 8));
	assert_int_equal(peek(driver, DATA + 32, 8), 0);
	assert_int_equal(take_vector(driver), DRIVER_VECTOR);
}

/* ---- setting up ---- */

static void features_are_agreed_on(void **state)
{
	struct driver driver = find(state);
	u64 all = offered(&driver);

	assert_int_equal(all, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC);
	set_status(&driver, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
	accept(&driver, all | BIT(40));
	set_status(&driver, ALL_OK & ~VIRTIO_DRIVER_OK);
	assert_false(status_of(&driver) & VIRTIO_FEATURES_OK);
	accept(&driver, VIRTIO_F_EVENT_IDX); /* a driver of before 1.0 */
	set_status(&driver, ALL_OK & ~VIRTIO_DRIVER_OK);
	assert_false(status_of(&driver) & VIRTIO_FEATURES_OK);
	accept(&driver, all);
	set_status(&driver, ALL_OK & ~VIRTIO_DRIVER_OK);
	assert_true(status_of(&driver) & VIRTIO_FEATURES_OK);
	accept(&driver, 0); /* too late */
	put(&driver, driver.common + REGISTER_ACCEPTED_SELECT, 4, 0);
	assert_int_equal(get(&driver, driver.common + REGISTER_ACCEPTED, 4), (u32)all);
}

static void a_queue_that_is_not_there_reads_as_zero(void **state)
{
	struct driver driver = find(state);

	put(&driver, driver.common + REGISTER_QUEUE_SELECT, 2, 1);
	assert_int_equal(get(&driver, driver.common + REGISTER_QUEUE_SIZE, 2), 0);
	put(&driver, driver.common + REGISTER_QUEUE_ENABLE, 2, 1);
	put(&driver, driver.common + REGISTER_QUEUE_DESCRIPTORS, 8, ~(u64)0);
	put(&driver, driver.notify + 4, 2, 1);
	assert_int_equal(get(&driver, driver.common + REGISTER_QUEUES, 2), 1);
}

static void a_queue_that_cannot_be_breaks_the_device(void **state)
{
	struct driver driver = find(state);
	static const struct {
		u16 size;
		u64 descriptors, ring_driver, device;
	} bad[] = {
		{0, RING_DESCRIPTORS, RING_DRIVER, RING_DEVICE},
		{65535, RING_DESCRIPTORS, RING_DRIVER, RING_DEVICE},
		{3, RING_DESCRIPTORS, RING_DRIVER, RING_DEVICE},
		{128, RING_DESCRIPTORS, RING_DRIVER, RING_DEVICE},
		{16, RING_DESCRIPTORS + 8, RING_DRIVER, RING_DEVICE},
		{16, RING_DESCRIPTORS, RING_DRIVER + 1, RING_DEVICE},
		{16, RING_DESCRIPTORS, RING_DRIVER, RING_DEVICE + 2},
		{16, BOARD_RAM_BYTES - 16, RING_DRIVER, RING_DEVICE},
		{16, RING_DESCRIPTORS, BOARD_RAM_BYTES, RING_DEVICE},
		{16, RING_DESCRIPTORS, RING_DRIVER, ~(u64)3},
		{16, PC_PCI_WINDOW, PC_PCI_ECAM, 0xfee00000},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		set_status(&driver, 0);
		accept(&driver, VIRTIO_F_VERSION_1);
		set_status(&driver, ALL_OK & ~VIRTIO_DRIVER_OK);
		put(&driver, driver.common + REGISTER_QUEUE_SIZE, 2, bad[i].size);
		put(&driver, driver.common + REGISTER_QUEUE_DESCRIPTORS, 8, bad[i].descriptors);
		put(&driver, driver.common + REGISTER_QUEUE_DRIVER, 8, bad[i].ring_driver);
		put(&driver, driver.common + REGISTER_QUEUE_DEVICE, 8, bad[i].device);
		put(&driver, driver.common + REGISTER_QUEUE_ENABLE, 2, 1);
		assert_true(needs_reset(&driver));
		set_status(&driver, ALL_OK);
		notify(&driver);
	}
	driver_start(&driver, 0);
	assert_works(&driver);
}

static void nothing_works_before_driver_ok(void **state)
{
	struct driver driver = find(state);

	accept(&driver, VIRTIO_F_VERSION_1);
	set_status(&driver, ALL_OK & ~VIRTIO_DRIVER_OK);
	use_msix(&driver);
	set_up_queue(&driver, DRIVER_QUEUE_SIZE);
	give(&driver, DATA, 32);
	assert_int_equal(take_used(&driver, NULL), -1);
	set_status(&driver, ALL_OK); /* what was there already is taken now */
	assert_int_equal(take_used(&driver, NULL), 0);
}

static void a_reset_forgets_all(void **state)
{
	struct driver driver = find(state);

	driver_start(&driver, VIRTIO_F_EVENT_IDX);
	assert_works(&driver);
	set_status(&driver, 0);
	assert_int_equal(status_of(&driver), 0);
	assert_int_equal(get(&driver, driver.common + REGISTER_QUEUE_ENABLE, 2), 0);
	assert_int_equal(get(&driver, driver.common + REGISTER_QUEUE_SIZE, 2), 64);
	assert_int_equal(get(&driver, driver.common + REGISTER_CONFIG_VECTOR, 2), 0xffff);
	give(&driver, DATA, 32);
	assert_int_equal(take_vector(&driver), -1);
	driver_start(&driver, VIRTIO_F_EVENT_IDX);
	assert_works(&driver);
}

/* ---- the rings ---- */

static void indices_wrap_around(void **state)
{
	struct driver driver = find(state);

	driver_start(&driver, VIRTIO_F_EVENT_IDX);
	for (unsigned i = 0; i < 70000; i++) {
		poke(&driver, RING_DRIVER + 4 + 2 * DRIVER_QUEUE_SIZE, driver.used, 2);
		give(&driver, DATA, 16);
		assert_int_equal(take_used(&driver, NULL), 0);
		assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
	}
}

static void a_chain_is_filled_across_its_buffers(void **state)
{
	struct driver driver = find(state);
	u32 written;

	driver_start(&driver, 0);
	put_descriptor(&driver, RING_DESCRIPTORS, 3, DATA, 5, FLAG_WRITE | FLAG_NEXT, 7);
	put_descriptor(&driver, RING_DESCRIPTORS, 7, DATA + 100, 0, FLAG_WRITE | FLAG_NEXT, 1);
	put_descriptor(&driver, RING_DESCRIPTORS, 1, DATA + 200, 11, FLAG_WRITE, 0);
	make_available(&driver, 3);
	notify(&driver);
	assert_int_equal(take_used(&driver, &written), 3);
	assert_int_equal(written, 16);
	assert_int_equal(peek(&driver, DATA + 5, 8), 0);
	assert_true(peek(&driver, DATA + 203, 8));
	assert_int_equal(peek(&driver, DATA + 211, 8), 0);
}

static void an_indirect_table_is_a_chain(void **state)
{
	struct driver driver = find(state);
	u32 written;

	driver_start(&driver, VIRTIO_F_INDIRECT_DESC);
	put_descriptor(&driver, DATA + 0x1000, 0, DATA, 4, FLAG_WRITE | FLAG_NEXT, 2);
	put_descriptor(&driver, DATA + 0x1000, 2, DATA + 64, 4, FLAG_WRITE, 0);
	put_descriptor(&driver, RING_DESCRIPTORS, 2, DATA + 128, 8, FLAG_WRITE | FLAG_NEXT, 5);
	put_descriptor(&driver, RING_DESCRIPTORS, 5, DATA + 0x1000, 48, FLAG_INDIRECT, 0);
	make_available(&driver, 2);
	notify(&driver);
	assert_int_equal(take_used(&driver, &written), 2);
	assert_int_equal(written, 16);
	assert_true(peek(&driver, DATA, 4) && peek(&driver, DATA + 64, 4));
	assert_true(peek(&driver, DATA + 128, 8));
}

static void the_driver_says_when_it_wants_to_be_told(void **state)
{
	struct driver driver = find(state);
	u64 used_event = RING_DRIVER + 4 + 2 * DRIVER_QUEUE_SIZE;
	u64 available_event = RING_DEVICE + 4 + 8 * DRIVER_QUEUE_SIZE;

	driver_start(&driver, 0);
	poke(&driver, RING_DRIVER, 1, 2); /* no interrupts, please */
	give(&driver, DATA, 16);
	assert_int_equal(take_vector(&driver), -1);
	poke(&driver, RING_DRIVER, 0, 2);
	give(&driver, DATA, 16);
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR);

	driver_start(&driver, VIRTIO_F_EVENT_IDX);
	give(&driver, DATA, 16);
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
	poke(&driver, used_event, 3, 2);
	for (unsigned i = 0; i < 2; i++) {
		give(&driver, DATA, 16);
		assert_int_equal(take_vector(&driver), -1);
	}
	give(&driver, DATA, 16);
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
	assert_int_equal(peek(&driver, available_event, 2), driver.available);
}

/* ---- what no driver does ---- */

struct bad_chain {
	const char *name;
	struct {
		u64 address;
		u32 bytes;
		u16 flags, next;
	} descriptors[4];
	u16 head;
};

static const struct bad_chain bad_chains[] = {
	{"a loop of one", {{DATA, 4, FLAG_WRITE | FLAG_NEXT, 0}}, 0},
	{"a loop of two",
		{{DATA, 4, FLAG_WRITE | FLAG_NEXT, 1}, {DATA, 4, FLAG_WRITE | FLAG_NEXT, 0}}, 0},
	{"a head that does not exist", {{DATA, 4, FLAG_WRITE, 0}}, 16},
	{"the last head there could be", {{DATA, 4, FLAG_WRITE, 0}}, 65535},
	{"a next that does not exist", {{DATA, 4, FLAG_WRITE | FLAG_NEXT, 16}}, 0},
	{"outside of RAM", {{PC_PCI_WINDOW, 4, FLAG_WRITE, 0}}, 0},
	{"across RAM's end", {{BOARD_RAM_BYTES - 2, 4, FLAG_WRITE, 0}}, 0},
	{"around the end of addresses", {{~(u64)0 - 1, 4, FLAG_WRITE, 0}}, 0},
	{"a huge length", {{DATA, 0xffffffff, FLAG_WRITE, 0}}, 0},
	{"a buffer to read behind one to write",
		{{DATA, 4, FLAG_WRITE | FLAG_NEXT, 1}, {DATA, 4, 0, 0}}, 0},
	{"an indirect table of no size", {{DATA + 0x1000, 0, FLAG_INDIRECT, 0}}, 0},
	{"an indirect table of a strange size", {{DATA + 0x1000, 17, FLAG_INDIRECT, 0}}, 0},
	{"an indirect table outside of RAM", {{0xfee00000, 16, FLAG_INDIRECT, 0}}, 0},
	{"a huge indirect table", {{DATA + 0x1000, 0xfffffff0, FLAG_INDIRECT, 0}}, 0},
	{"an indirect table with a next", {{DATA + 0x1000, 16, FLAG_INDIRECT | FLAG_NEXT, 1}}, 0},
	{"an indirect table in an indirect table", {{DATA + 0x2000, 16, FLAG_INDIRECT, 0}}, 0},
	{"an indirect table that loops", {{DATA + 0x3000, 32, FLAG_INDIRECT, 0}}, 0},
	{"an indirect table that is too long", {{DATA + 0x10000, 16 * 4096, FLAG_INDIRECT, 0}}, 0},
};

static void put_tables(struct driver *driver)
{
	put_descriptor(driver, DATA + 0x1000, 0, DATA, 4, FLAG_WRITE, 0);
	put_descriptor(driver, DATA + 0x2000, 0, DATA + 0x1000, 16, FLAG_INDIRECT, 0);
	put_descriptor(driver, DATA + 0x3000, 0, DATA, 4, FLAG_WRITE | FLAG_NEXT, 1);
	put_descriptor(driver, DATA + 0x3000, 1, DATA, 4, FLAG_WRITE | FLAG_NEXT, 0);
	for (unsigned i = 0; i < 4096; i++)
		put_descriptor(driver, DATA + 0x10000, i, DATA, 4,
			(u16)(FLAG_WRITE | (i < 4095 ? FLAG_NEXT : 0)), (u16)(i + 1));
}

static void bad_chains_need_a_reset_and_no_more(void **state)
{
	struct driver driver = find(state);

	for (unsigned i = 0; i < ARRAY_SIZE(bad_chains); i++) {
		const struct bad_chain *bad = &bad_chains[i];

		driver_start(&driver, VIRTIO_F_INDIRECT_DESC);
		assert_works(&driver);
		put_tables(&driver);
		for (unsigned j = 0; j < 4; j++)
			put_descriptor(&driver, RING_DESCRIPTORS, j, bad->descriptors[j].address,
				bad->descriptors[j].bytes, bad->descriptors[j].flags,
				bad->descriptors[j].next);
		make_available(&driver, bad->head);
		notify(&driver);
		if (!needs_reset(&driver))
			fail_msg("%s was taken", bad->name);
		assert_int_equal(take_vector(&driver), DRIVER_VECTOR - 1);
		give(&driver, DATA, 16); /* nothing is taken any more */
		assert_int_equal(take_used(&driver, NULL), -1);
	}
	driver_start(&driver, 0);
	assert_works(&driver);
}

static void an_index_too_far_ahead_needs_a_reset(void **state)
{
	struct driver driver = find(state);

	driver_start(&driver, 0);
	poke(&driver, RING_DRIVER + 2, DRIVER_QUEUE_SIZE + 1, 2);
	notify(&driver);
	assert_true(needs_reset(&driver));
	driver_start(&driver, 0);
	put_descriptor(&driver, RING_DESCRIPTORS, 0, DATA, 4, FLAG_WRITE, 0);
	poke(&driver, RING_DRIVER + 2, DRIVER_QUEUE_SIZE, 2); /* all at once, the same chain */
	notify(&driver);
	assert_false(needs_reset(&driver));
	assert_int_equal(peek(&driver, RING_DEVICE + 2, 2), DRIVER_QUEUE_SIZE);
}

/* The rings on each other, and a buffer on the rings: nonsense, but nobody is harmed. */
static void rings_may_lie_on_each_other(void **state)
{
	struct driver driver = find(state);

	driver_start(&driver, 0);
	put_descriptor(&driver, RING_DESCRIPTORS, 0, RING_DEVICE, 256, FLAG_WRITE, 0);
	make_available(&driver, 0);
	notify(&driver);
	set_status(&driver, 0);
	accept(&driver, VIRTIO_F_VERSION_1);
	set_status(&driver, ALL_OK & ~VIRTIO_DRIVER_OK);
	put(&driver, driver.common + REGISTER_QUEUE_SIZE, 2, DRIVER_QUEUE_SIZE);
	for (unsigned at = REGISTER_QUEUE_DESCRIPTORS; at <= REGISTER_QUEUE_DEVICE; at += 8)
		put(&driver, driver.common + at, 8, RING_DESCRIPTORS);
	put(&driver, driver.common + REGISTER_QUEUE_ENABLE, 2, 1);
	set_status(&driver, ALL_OK);
	for (unsigned i = 0; i < 100; i++) {
		poke(&driver, RING_DESCRIPTORS + 2, i, 2);
		notify(&driver);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		board_test(features_are_agreed_on),
		board_test(a_queue_that_is_not_there_reads_as_zero),
		board_test(a_queue_that_cannot_be_breaks_the_device),
		board_test(nothing_works_before_driver_ok),
		board_test(a_reset_forgets_all),
		board_test(indices_wrap_around),
		board_test(a_chain_is_filled_across_its_buffers),
		board_test(an_indirect_table_is_a_chain),
		board_test(the_driver_says_when_it_wants_to_be_told),
		board_test(bad_chains_need_a_reset_and_no_more),
		board_test(an_index_too_far_ahead_needs_a_reset),
		board_test(rings_may_lie_on_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
