/* SPDX-License-Identifier: MIT */
/* A disk in memory, for tests and fuzzers: requests end at once, or when a test says so, or badly. */
#ifndef HOSTS_FAKE_DISK_H
#define HOSTS_FAKE_DISK_H

#include "devices/backend/block.h"

struct fake_disk {
	struct block_backend backend;
	u8 *content;
	bool waits; /* requests stay in flight until fake_disk_finish, or a drain */
	enum status outcome;
	struct list submitted, begun;
	/* What ended: */
	unsigned reads, writes, flushes, discards, zeroes;
	bool may_unmap; /* of the last of the zeroes */
};

extern const struct block_ops fake_disk_ops;

/* content stays the caller's. */
void fake_disk_init(struct fake_disk *disk, u8 *content, u64 bytes);
/* Ends at most `count` of those that have begun; returns how many. */
unsigned fake_disk_finish(struct fake_disk *disk, unsigned count);

#endif
