/* SPDX-License-Identifier: MIT */
/*
 * A disk in memory: a file of the bundle, which several machines may have and nobody writes, and a machine's own copies of the pages
 * that it has written. What is written is gone with the machine.
 */
#ifndef HOSTS_METAL_BACKEND_RAM_DISK_H
#define HOSTS_METAL_BACKEND_RAM_DISK_H

#include "base/status.h"
#include "base/types.h"
#include "devices/backend/block.h"

#define RAM_DISK_PAGE_BYTES 4096

struct ram_disk {
	struct block_backend backend;
	const u8 *content; /* the file, not ours */
	u64 content_bytes;
	/* A pointer a page: NULL: as in the file; else the machine's own, or the one page of zeroes that stands for all. */
	u8 **pages;
	u64 page_count;
	u64 own_pages, own_pages_most; /* a write that would need more fails */
	bool has_ended; /* requests, of which the device has not been told as a group */
};

/*
 * The disk is as large as the file, rounded up to whole sectors, or `bytes` where that is more; own_bytes_most: how much of it a machine may have written at
 * once. STATUS_NO_MEMORY.
 */
enum status ram_disk_init(struct ram_disk *disk, const u8 *content, u64 content_bytes, u64 bytes,
	u64 own_bytes_most, bool is_read_only) must_use;
/* Gives back what ram_disk_init and writes have taken. Nothing is in flight. */
void ram_disk_end(struct ram_disk *disk);

#endif
