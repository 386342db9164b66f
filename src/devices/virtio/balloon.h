/* SPDX-License-Identifier: MIT */
/*
 * What gives a guest's free memory back to the host: pages that the driver reports as free, pages that it is asked to do without, and the
 * guest's own statistics. Source: Virtual I/O Device specification 1.2, 5.5.
 */
#ifndef DEVICES_VIRTIO_BALLOON_H
#define DEVICES_VIRTIO_BALLOON_H

#include "devices/virtio/virtio.h"

/* 5.5.6.3, by tag; Linux has more of them, which are not kept. */
enum virtio_balloon_statistic {
	BALLOON_SWAP_IN,
	BALLOON_SWAP_OUT,
	BALLOON_MAJOR_FAULTS,
	BALLOON_MINOR_FAULTS,
	BALLOON_FREE_BYTES,
	BALLOON_TOTAL_BYTES,
	BALLOON_AVAILABLE_BYTES,
	BALLOON_CACHE_BYTES,
	BALLOON_HUGETLB_ALLOCATIONS,
	BALLOON_HUGETLB_FAILURES,
	BALLOON_STATISTICS,
};

struct virtio_balloon_config {
	u32 target_pages; /* of 4 KiB that the guest shall do without */
	u32 actual_pages; /* the driver's: that it does without */
};

struct virtio_balloon {
	struct virtio virtio;
	struct virtio_balloon_config config;
	u64 statistics[BALLOON_STATISTICS]; /* as the guest last told; ~0: never told */
	u16 statistics_head;		    /* the chain that is given back to ask for more */
	bool has_statistics_chain;
	u64 released_bytes; /* in all, given back to the host */
	/* The guest has told of new statistics; set by the board. NULL: nobody is told. */
	void (*told)(void *context);
	void *told_context;
	struct virtqueue_chain chain;
};

/* balloon is zeroed. `common` needs bus, slot, interrupt_line and name. */
enum status virtio_balloon_init(
	struct virtio_balloon *balloon, struct virtio_parameters *common) must_use;
void virtio_balloon_fini(struct virtio_balloon *balloon);

/* With machine->lock held: */
void virtio_balloon_set_target(struct virtio_balloon *balloon, u32 pages);
/* Asks the driver for new statistics, which come soon, or never. False: there is no driver that tells, or it has been asked already. */
bool virtio_balloon_ask(struct virtio_balloon *balloon);

#endif
