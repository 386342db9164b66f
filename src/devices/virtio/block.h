/* SPDX-License-Identifier: MIT */
/* A disk. Source: Virtual I/O Device specification 1.2, 5.2. */
#ifndef DEVICES_VIRTIO_BLOCK_H
#define DEVICES_VIRTIO_BLOCK_H

#include "devices/backend/block.h"
#include "devices/virtio/virtio.h"

#define VIRTIO_BLOCK_QUEUE_SIZE 256
/* The most buffers of data in one request: a queue's worth without header and status. */
#define VIRTIO_BLOCK_SEGMENTS_MAX (VIRTIO_BLOCK_QUEUE_SIZE - 2)
#define VIRTIO_BLOCK_SERIAL_BYTES 20

/* One request in flight. */
struct virtio_block_request {
	struct block_request request;
	struct list link; /* of those that are free */
	struct virtio_block *disk;
	struct virtqueue *queue;
	u16 head;
	u32 data_written; /* bytes of guest memory that a read fills */
	u8 *status;	  /* where it goes, in guest memory */
	bool must_flush;  /* the driver knows of no cache: a write ends when it is durable */
	struct block_segment segments[VIRTIO_BLOCK_SEGMENTS_MAX];
};

/* As the driver reads it: 5.2.4. */
struct virtio_block_config {
	u64 sectors;
	u32 size_max, segments_max;
	u8 geometry[4];
	u32 block_size;
	u8 physical_block_exponent, alignment_offset;
	u16 minimum_io;
	u32 optimal_io;
	u8 writeback, unused_0;
	u16 queues;
	u32 discard_sectors_max, discard_segments_max, discard_alignment;
	u32 zeroes_sectors_max, zeroes_segments_max;
	u8 zeroes_may_unmap, unused_1[3];
};

struct virtio_block {
	struct virtio virtio;
	struct block_backend *backend;
	struct virtio_block_config config;
	char serial[VIRTIO_BLOCK_SERIAL_BYTES];
	struct virtio_block_request *requests; /* request_count of them */
	unsigned request_count;
	struct list free_requests;
	u64 unpublished[2];			      /* queues to which something was pushed */
	u64 starved[2];				      /* queues that found no free request */
	bool is_submitting;			      /* a kick goes on: it will publish */
	u64 reads, read_bytes, writes, written_bytes; /* that ended well */
	struct virtqueue_chain chain;		      /* the one being looked at */
};

struct virtio_block_parameters {
	struct block_backend *backend; /* its settle and device are set */
	const char *serial;	       /* cut to VIRTIO_BLOCK_SERIAL_BYTES */
	unsigned queues;
};

/* disk is zeroed. `common` needs bus, slot, interrupt_line and name. */
enum status virtio_block_init(struct virtio_block *disk, struct virtio_parameters *common,
	const struct virtio_block_parameters *parameters) must_use;
void virtio_block_fini(struct virtio_block *disk);

#endif
