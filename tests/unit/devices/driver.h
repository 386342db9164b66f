/* SPDX-License-Identifier: MIT */
/* A driver of virtio devices, as small as can be: what a guest's would do, and what none would. */
#ifndef TESTS_UNIT_DEVICES_DRIVER_H
#define TESTS_UNIT_DEVICES_DRIVER_H

#include "board.h"
#include "devices/virtio/virtio.h"

#define DRIVER_QUEUE_SIZE 16
#define DRIVER_VECTOR 0x40 /* of the queue; the configuration's is one less */

enum driver_register {
	REGISTER_OFFERED_SELECT = 0x00,
	REGISTER_OFFERED = 0x04,
	REGISTER_ACCEPTED_SELECT = 0x08,
	REGISTER_ACCEPTED = 0x0c,
	REGISTER_CONFIG_VECTOR = 0x10,
	REGISTER_QUEUES = 0x12,
	REGISTER_STATUS = 0x14,
	REGISTER_QUEUE_SELECT = 0x16,
	REGISTER_QUEUE_SIZE = 0x18,
	REGISTER_QUEUE_VECTOR = 0x1a,
	REGISTER_QUEUE_ENABLE = 0x1c,
	REGISTER_QUEUE_DESCRIPTORS = 0x20,
	REGISTER_QUEUE_DRIVER = 0x28,
	REGISTER_QUEUE_DEVICE = 0x30,
};

enum driver_flags { FLAG_NEXT = 1, FLAG_WRITE = 2, FLAG_INDIRECT = 4 };

struct driver {
	struct board *board;
	unsigned slot;
	u64 common, isr, device, notify; /* addresses */
	unsigned msix;			 /* its capability */
	bool has_event_index;
	unsigned queue;	     /* the one that is used */
	u16 available, used; /* what we have given, and seen */
};

/* ---- configuration space, by ECAM ---- */

static unused u64 ecam(unsigned slot, unsigned at)
{
	return PC_PCI_ECAM + (slot << 15) + at;
}

static unused u32 config_get(struct board *board, unsigned slot, unsigned at, unsigned size)
{
	return (u32)board_access(board, 0, BUS_MEMORY, ecam(slot, at), size, false, 0);
}

static unused void config_put(
	struct board *board, unsigned slot, unsigned at, unsigned size, u32 value)
{
	board_access(board, 0, BUS_MEMORY, ecam(slot, at), size, true, value);
}

static unused u64 bar_of(struct board *board, unsigned slot)
{
	return config_get(board, slot, 0x10, 4) & ~15u;
}

/* ---- its registers ---- */

static unused u64 get(struct driver *driver, u64 address, unsigned size)
{
	return board_access(driver->board, 0, BUS_MEMORY, address, size, false, 0);
}

static unused void put(struct driver *driver, u64 address, unsigned size, u64 value)
{
	board_access(driver->board, 0, BUS_MEMORY, address, size, true, value);
}

static unused u8 status_of(struct driver *driver)
{
	return (u8)get(driver, driver->common + REGISTER_STATUS, 1);
}

static unused void set_status(struct driver *driver, u8 status)
{
	put(driver, driver->common + REGISTER_STATUS, 1, status);
}

static unused u64 offered(struct driver *driver)
{
	u64 features = 0;

	for (unsigned i = 0; i < 2; i++) {
		put(driver, driver->common + REGISTER_OFFERED_SELECT, 4, i);
		features |= get(driver, driver->common + REGISTER_OFFERED, 4) << 32 * i;
	}
	return features;
}

static unused void accept(struct driver *driver, u64 features)
{
	for (unsigned i = 0; i < 2; i++) {
		put(driver, driver->common + REGISTER_ACCEPTED_SELECT, 4, i);
		put(driver, driver->common + REGISTER_ACCEPTED, 4, (u32)(features >> 32 * i));
	}
}

/* Finds the device's registers by its capabilities. */
static unused struct driver driver_find(struct board *board, unsigned slot, unsigned type)
{
	struct driver driver = {.board = board, .slot = slot};
	u64 *const places[] = {NULL, &driver.common, &driver.notify, &driver.isr, &driver.device};
	unsigned found = 0;

	assert_int_equal(config_get(board, slot, 0, 4), 0x1af4 | (0x1040 + type) << 16);
	for (unsigned at = config_get(board, slot, 0x34, 1); at;
		at = config_get(board, slot, at + 1, 1)) {
		unsigned kind = config_get(board, slot, at + 3, 1);

		if (config_get(board, slot, at, 1) == 0x11)
			driver.msix = at;
		if (config_get(board, slot, at, 1) != 9 || kind >= ARRAY_SIZE(places))
			continue;
		assert_int_equal(config_get(board, slot, at + 4, 1), 0);
		*places[kind] = bar_of(board, slot) + config_get(board, slot, at + 8, 4);
		found++;
	}
	assert_in_range(found, 3, 4);
	assert_int_not_equal(driver.msix, 0);
	return driver;
}

/* MSI-X on: the configuration has vector 0, the queue vector 1. */
static unused void use_msix(struct driver *driver)
{
	u64 table = bar_of(driver->board, driver->slot) +
		(config_get(driver->board, driver->slot, driver->msix + 4, 4) & ~7u);

	for (unsigned i = 0; i < 2; i++) {
		put(driver, table + 16 * i, 8, 0xfee00000);
		put(driver, table + 16 * i + 8, 4, DRIVER_VECTOR - 1 + i);
		put(driver, table + 16 * i + 12, 4, 0);
	}
	config_put(driver->board, driver->slot, driver->msix + 2, 2, 0x8000);
	put(driver, driver->common + REGISTER_CONFIG_VECTOR, 2, 0);
	put(driver, driver->common + REGISTER_QUEUE_SELECT, 2, driver->queue);
	put(driver, driver->common + REGISTER_QUEUE_VECTOR, 2, 1);
}

/* ---- the queue, at 1 MiB: descriptors, available ring, used ring, each a page ---- */

#define RING_DESCRIPTORS ((u64)0x100000)
#define RING_DRIVER ((u64)0x101000)
#define RING_DEVICE ((u64)0x102000)
#define DATA ((u64)0x200000)

static unused u8 *ram(struct driver *driver, u64 gpa)
{
	return driver->board->ram + gpa;
}

static unused void poke(struct driver *driver, u64 gpa, u64 value, unsigned bytes)
{
	memcpy(ram(driver, gpa), &value, bytes);
}

static unused u64 peek(struct driver *driver, u64 gpa, unsigned bytes)
{
	u64 value = 0;

	memcpy(&value, ram(driver, gpa), bytes);
	return value;
}

static unused void set_up_queue(struct driver *driver, u16 size)
{
	memset(ram(driver, RING_DESCRIPTORS), 0, 0x3000);
	driver->available = driver->used = 0;
	put(driver, driver->common + REGISTER_QUEUE_SELECT, 2, driver->queue);
	put(driver, driver->common + REGISTER_QUEUE_SIZE, 2, size);
	put(driver, driver->common + REGISTER_QUEUE_DESCRIPTORS, 8, RING_DESCRIPTORS);
	put(driver, driver->common + REGISTER_QUEUE_DRIVER, 8, RING_DRIVER);
	put(driver, driver->common + REGISTER_QUEUE_DEVICE, 8, RING_DEVICE);
	put(driver, driver->common + REGISTER_QUEUE_ENABLE, 2, 1);
}

/* Up to DRIVER_OK, with these features and VERSION_1. */
static unused void driver_start(struct driver *driver, u64 features)
{
	set_status(driver, 0);
	set_status(driver, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
	accept(driver, features | VIRTIO_F_VERSION_1);
	driver->has_event_index = features & VIRTIO_F_EVENT_IDX;
	set_status(driver, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
	assert_true(status_of(driver) & VIRTIO_FEATURES_OK);
	use_msix(driver);
	set_up_queue(driver, DRIVER_QUEUE_SIZE);
	set_status(
		driver, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
}

static unused void put_descriptor(struct driver *driver, u64 table, unsigned index, u64 address,
	u32 bytes, u16 flags, u16 next)
{
	poke(driver, table + 16 * index, address, 8);
	poke(driver, table + 16 * index + 8, bytes, 4);
	poke(driver, table + 16 * index + 12, flags, 2);
	poke(driver, table + 16 * index + 14, next, 2);
}

static unused void notify(struct driver *driver)
{
	put(driver, driver->notify + 4 * driver->queue, 2, driver->queue);
}

static unused void make_available(struct driver *driver, u16 head)
{
	poke(driver, RING_DRIVER + 4 + 2 * (driver->available % DRIVER_QUEUE_SIZE), head, 2);
	poke(driver, RING_DRIVER + 2, ++driver->available, 2);
}

/* The next used element's head, or -1; *written is its length. */
static unused int take_used(struct driver *driver, u32 *written)
{
	u64 at = RING_DEVICE + 4 + 8 * (driver->used % DRIVER_QUEUE_SIZE);

	if ((u16)peek(driver, RING_DEVICE + 2, 2) == driver->used)
		return -1;
	driver->used++;
	if (written)
		*written = (u32)peek(driver, at + 4, 4);
	return (int)peek(driver, at, 4);
}

/* The vector of the interrupt that has come, acknowledged and ended; -1: none. */
static unused int take_vector(struct driver *driver)
{
	int vector = take_interrupt(driver->board, 0);

	if (vector >= 0)
		board_access(driver->board, 0, BUS_MEMORY, 0xfee000b0, 4, true, 0);
	return vector;
}

#endif
