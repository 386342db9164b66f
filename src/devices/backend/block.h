/* SPDX-License-Identifier: MIT */
/*
 * What a disk asks of the outside: blocks, read and written by requests that end later.
 *
 * submit never blocks for long; the request then belongs to the place until its `done` has been called, exactly once, with
 * machine->lock held, from any thread, perhaps already within submit or start. Requests end in any order; a flush covers what had ended
 * before it was submitted. What a request that failed has read or written is undefined, and later requests go on.
 */
#ifndef DEVICES_BACKEND_BLOCK_H
#define DEVICES_BACKEND_BLOCK_H

#include "base/list.h"
#include "base/status.h"
#include "base/types.h"

#define BLOCK_SECTOR_BYTES 512

enum block_operation {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,   /* what had ended before is durable when this ends well */
	BLOCK_DISCARD, /* the bytes are not needed: what they read as afterwards is undefined */
	BLOCK_WRITE_ZEROES, /* they read as zeroes afterwards */
};

/* A piece of host memory: guest RAM, which running processors change. */
struct block_segment {
	u8 *host;
	u64 bytes;
};

struct block_request {
	enum block_operation operation;
	bool may_unmap; /* BLOCK_WRITE_ZEROES: may give the space back */
	/* In bytes, whole sectors, within the backend's size: the device has checked. BLOCK_FLUSH: 0. */
	u64 offset, bytes;
	/* BLOCK_READ, BLOCK_WRITE: the pieces, in order, `bytes` in all. */
	const struct block_segment *segments;
	unsigned segment_count;
	/* STATUS_OK, STATUS_IO (also: no space left), STATUS_UNSUPPORTED. */
	void (*done)(struct block_request *request, enum status status);
	/* The place's, while it has the request. */
	struct list link;
	u64 scratch[4];
};

struct block_backend;

struct block_ops {
	/* Takes the request; may wait for start before it begins. With machine->lock held. */
	void (*submit)(struct block_backend *backend, struct block_request *request);
	/* Begins all that was submitted. With machine->lock held. */
	void (*start)(struct block_backend *backend);
	/*
	 * Returns once nothing is in flight. Without machine->lock, while nobody submits: before a machine's reset, its saving, its
	 * end.
	 */
	void (*drain)(struct block_backend *backend);
};

struct block_backend {
	const struct block_ops *ops;
	void *context;
	u64 bytes; /* a multiple of BLOCK_SECTOR_BYTES */
	bool is_read_only, can_discard, can_write_zeroes;
	/* The device's: called after a group of `done`, so that the guest hears of them once. With machine->lock held. */
	void (*settle)(void *device);
	void *device;
};

#endif
