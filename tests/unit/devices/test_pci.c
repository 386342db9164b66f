/* SPDX-License-Identifier: MIT */
/* The PCI bus: configuration space by both ways, BARs that move, interrupts. */
#include "driver.h"

#define DISK PC_SLOT_DISKS
#define ENTROPY PC_SLOT_ENTROPY

static void both_ways_lead_to_the_same_registers(void **state)
{
	struct board *board = *state;

	for (unsigned slot = 0; slot < 32; slot++) {
		out32(board, 0xcf8, 0x80000000 | slot << 11);
		assert_int_equal(in32(board, 0xcfc), config_get(board, slot, 0, 4));
		out32(board, 0xcf8, 0x80000008 | slot << 11);
		assert_int_equal(in16(board, 0xcfe), config_get(board, slot, 10, 2));
	}
	assert_int_equal(config_get(board, 31, 0, 4), 0xffffffff);
	/* Neither other functions, nor other buses, nor extended space. */
	assert_int_equal(
		board_access(board, 0, BUS_MEMORY, ecam(DISK, 0x1000), 4, false, 0), 0xffffffff);
	out32(board, 0xcf8, 0x80010000);
	assert_int_equal(in32(board, 0xcfc), 0xffffffff);
	assert_int_equal(config_get(board, DISK, 0x100, 4), 0);
}

static void only_what_may_be_written_is(void **state)
{
	struct board *board = *state;
	u32 before[64];

	for (unsigned at = 0; at < 64; at++)
		before[at] = config_get(board, DISK, 4 * at, 4);
	for (unsigned at = 0; at < 64; at++)
		config_put(board, DISK, 4 * at, 4, ~before[at]);
	assert_int_equal(config_get(board, DISK, 0, 4), before[0]);
	assert_int_equal(config_get(board, DISK, 8, 4), before[2]);
	assert_int_equal(config_get(board, DISK, 0x2c, 4), before[11]);
	assert_int_equal(config_get(board, DISK, 0x14, 4), 0);
	config_put(board, DISK, PCI_COMMAND, 2, 0xffff);
	assert_int_equal(config_get(board, DISK, PCI_COMMAND, 2), 0x406);
}

static void a_bar_tells_its_size(void **state)
{
	struct board *board = *state;
	u64 home = bar_of(board, DISK);

	assert_true(home >= PC_PCI_WINDOW && home < PC_PCI_WINDOW + PC_PCI_WINDOW_BYTES);
	config_put(board, DISK, PCI_BAR0, 4, 0xffffffff);
	assert_int_equal(config_get(board, DISK, PCI_BAR0, 4), 0xffff8000);
	config_put(board, DISK, PCI_BAR0, 4, (u32)home);
	assert_int_equal(bar_of(board, DISK), home);
}

static u64 queues_at(struct board *board, u64 bar)
{
	return board_access(board, 0, BUS_MEMORY, bar + REGISTER_QUEUE_SIZE, 2, false, 0);
}

static void a_bar_may_be_moved(void **state)
{
	struct board *board = *state;
	u64 home = bar_of(board, DISK), away = PC_PCI_WINDOW + 0x1000000;

	assert_int_equal(queues_at(board, home), 256);
	config_put(board, DISK, PCI_BAR0, 4, (u32)away);
	assert_int_equal(queues_at(board, home), 0xffff);
	assert_int_equal(queues_at(board, away), 256);
	config_put(board, DISK, PCI_COMMAND, 2, 0);
	assert_int_equal(queues_at(board, away), 0xffff);
	board->machine.reset(&board->machine);
	assert_int_equal(queues_at(board, home), 256);
}

static void a_bar_that_lies_badly_harms_nobody(void **state)
{
	struct board *board = *state;
	u64 home = bar_of(board, DISK), entropy = bar_of(board, ENTROPY);
	static const u32 places[] = {0, 0x100000, 0xfee00000, 0xfec00000, 0xffff8000, PC_PCI_ECAM,
		PC_PCI_WINDOW - 0x8000};

	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		config_put(board, DISK, PCI_BAR0, 4, places[i]);
		assert_int_equal(queues_at(board, home), 0xffff);
		assert_int_equal(config_get(board, 0, 0, 4), 0x00081b36);
		assert_int_equal(board_access(board, 0, BUS_MEMORY, 0xfee00020, 4, false, 0), 0);
	}
	/* On each other: the lower slot answers. */
	config_put(board, DISK, PCI_BAR0, 4, (u32)entropy);
	assert_int_equal(queues_at(board, entropy), 64);
	config_put(board, ENTROPY, PCI_COMMAND, 2, 0);
	assert_int_equal(queues_at(board, entropy), 256);
}

static void a_window_in_configuration_space_reaches_the_bar(void **state)
{
	struct board *board = *state;
	unsigned at = config_get(board, DISK, 0x34, 1);

	while (at &&
		!(config_get(board, DISK, at, 1) == 9 && config_get(board, DISK, at + 3, 1) == 5))
		at = config_get(board, DISK, at + 1, 1);
	assert_int_not_equal(at, 0);
	config_put(board, DISK, at + 8, 4, REGISTER_QUEUE_SIZE);
	config_put(board, DISK, at + 12, 4, 2);
	assert_int_equal(config_get(board, DISK, at + 16, 4), 256);
	config_put(board, DISK, at + 16, 4, 128);
	assert_int_equal(queues_at(board, bar_of(board, DISK)), 128);
	/* Nonsense has no effect. */
	config_put(board, DISK, at + 12, 4, 3);
	assert_int_equal(config_get(board, DISK, at + 16, 4), 0);
	config_put(board, DISK, at + 12, 4, 4);
	config_put(board, DISK, at + 8, 4, 0xfffffffc);
	assert_int_equal(config_get(board, DISK, at + 16, 4), 0);
	config_put(board, DISK, at + 4, 1, 5);
	config_put(board, DISK, at + 8, 4, 0);
	assert_int_equal(config_get(board, DISK, at + 16, 4), 0);
}

/* ---- interrupts ---- */

static void ask_for_entropy(struct driver *driver)
{
	put_descriptor(driver, RING_DESCRIPTORS, 0, DATA, 64, FLAG_WRITE, 0);
	make_available(driver, 0);
	notify(driver);
}

static void a_masked_message_waits(void **state)
{
	struct driver driver = driver_find(*state, ENTROPY, VIRTIO_ENTROPY);
	u64 table = bar_of(*state, ENTROPY) + 0x4000, pending = bar_of(*state, ENTROPY) + 0x5000;

	driver_start(&driver, 0);
	ask_for_entropy(&driver);
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
	put(&driver, table + 16 + 12, 4, 1);
	ask_for_entropy(&driver);
	assert_int_equal(take_vector(&driver), -1);
	assert_int_equal(get(&driver, pending, 8), 2);
	put(&driver, table + 16 + 12, 4, 0);
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
	assert_int_equal(get(&driver, pending, 8), 0);
	/* All at once. */
	config_put(*state, ENTROPY, driver.msix + 2, 2, 0xc000);
	ask_for_entropy(&driver);
	assert_int_equal(take_vector(&driver), -1);
	config_put(*state, ENTROPY, driver.msix + 2, 2, 0x8000);
	assert_int_equal(take_vector(&driver), DRIVER_VECTOR);
}

static void without_messages_there_is_a_pin(void **state)
{
	struct board *board = *state;
	struct driver driver = driver_find(board, ENTROPY, VIRTIO_ENTROPY);
	unsigned line = config_get(board, ENTROPY, PCI_INTERRUPT_LINE, 1);

	assert_int_equal(config_get(board, ENTROPY, PCI_INTERRUPT_PIN, 1), 1);
	open_pics(board);
	out8(board, PC_PORT_ELCR + line / 8, (u8)(1 << line % 8)); /* level, as PCI wants it */
	driver_start(&driver, 0);
	config_put(board, ENTROPY, driver.msix + 2, 2, 0);
	take_interrupt(board, 0); /* whatever opening them has left */
	ask_for_entropy(&driver);
	assert_true(config_get(board, ENTROPY, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	assert_int_equal(take_interrupt(board, 0), 0x30 + line);
	assert_int_equal(get(&driver, driver.isr, 1), 1);
	assert_false(config_get(board, ENTROPY, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	assert_int_equal(get(&driver, driver.isr, 1), 0);
	out8(board, 0x20, 0x20);
	out8(board, 0xa0, 0x20);
	assert_int_equal(take_interrupt(board, 0), -1);
	config_put(board, ENTROPY, PCI_COMMAND, 2, 0x406);
	ask_for_entropy(&driver);
	assert_int_equal(take_interrupt(board, 0), -1);
	config_put(board, ENTROPY, PCI_COMMAND, 2, 6);
	assert_int_equal(take_interrupt(board, 0), 0x30 + line);
}

static void messages_go_to_processors_only(void **state)
{
	struct driver driver = driver_find(*state, ENTROPY, VIRTIO_ENTROPY);
	u64 table = bar_of(*state, ENTROPY) + 0x4000;

	driver_start(&driver, 0);
	put(&driver, table + 16, 8, DATA + 0x1000);
	ask_for_entropy(&driver);
	assert_int_equal(take_vector(&driver), -1);
	assert_int_equal(peek(&driver, DATA + 0x1000, 4), 0);
	/* A vector that the table lacks is none. */
	put(&driver, driver.common + REGISTER_QUEUE_VECTOR, 2, 2);
	assert_int_equal(get(&driver, driver.common + REGISTER_QUEUE_VECTOR, 2), 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		board_test(both_ways_lead_to_the_same_registers),
		board_test(only_what_may_be_written_is),
		board_test(a_bar_tells_its_size),
		board_test(a_bar_may_be_moved),
		board_test(a_bar_that_lies_badly_harms_nobody),
		board_test(a_window_in_configuration_space_reaches_the_bar),
		board_test(a_masked_message_waits),
		board_test(without_messages_there_is_a_pin),
		board_test(messages_go_to_processors_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
