/* SPDX-License-Identifier: MIT */
/*
 * A split virtqueue, as the device sees it: event index, indirect descriptors. One implementation under all devices.
 * Source: Virtual I/O Device specification 1.2, 2.6 and 2.7.
 *
 * Everything in a ring is the driver's and may change at any time: each word is read once. What no driver may write (an index too far
 * ahead, a chain that loops, an address outside of RAM) breaks the queue: it hands out nothing more until it is reset, and the owner
 * tells the driver that the device needs a reset.
 *
 * Lock: machine->lock.
 */
#ifndef DEVICES_VIRTIO_QUEUE_H
#define DEVICES_VIRTIO_QUEUE_H

#include "core/machine.h"

#define VIRTQUEUE_SIZE_MAX 1024
/* The most buffers in one chain; a longer one breaks the queue. */
#define VIRTQUEUE_BUFFERS_MAX 1024

struct virtqueue_buffer {
	u8 *host; /* all of it is RAM */
	u32 bytes;
};

/* What the driver has made available in one piece: buffers to read, then buffers to write. */
struct virtqueue_chain {
	u16 head;
	unsigned readable, writable; /* buffers; the readable ones first */
	u64 readable_bytes, writable_bytes;
	struct virtqueue_buffer buffers[VIRTQUEUE_BUFFERS_MAX];
};

struct virtqueue {
	struct machine *machine;
	struct state_object state;
	char state_name[24];
	u16 size_max;
	/* The driver's settings, as it wrote them. */
	u16 size, vector;
	bool is_enabled;
	u64 descriptors, driver, device; /* addresses of the three parts */
	/* Where we are. */
	u16 next_available, next_used;
	u16 signalled;			    /* next_used when the driver was last told */
	bool has_event_index, has_indirect; /* negotiated */
	bool is_broken;
	bool must_signal; /* there is no `signalled` to compare with yet */
	u16 in_flight;	  /* chains handed out and not yet pushed */
	/* Derived, while it is enabled. */
	u8 *host_descriptors, *host_driver, *host_device;
};

enum virtqueue_result { VIRTQUEUE_EMPTY, VIRTQUEUE_CHAIN, VIRTQUEUE_BROKEN };

/* Zeroes it; its state is saved as NAME.queueINDEX. size_max is a power of two. */
void virtqueue_init(struct virtqueue *queue, struct machine *machine, const char *name,
	unsigned index, u16 size_max);
void virtqueue_reset(struct virtqueue *queue);
/* Takes what the driver has set up. False: it cannot be; the queue is broken. */
bool virtqueue_enable(struct virtqueue *queue, bool has_event_index, bool has_indirect) must_use;

/* Takes the next chain; it is the caller's until it is pushed. VIRTQUEUE_BROKEN: said once each time it is asked. */
enum virtqueue_result virtqueue_pop(
	struct virtqueue *queue, struct virtqueue_chain *chain) must_use;
/* Gives the last chain popped back, as if it had not been. Before anything else was popped. */
void virtqueue_unpop(struct virtqueue *queue);
/* Gives a chain back, of which the first `written` bytes have been written. The driver sees it at the next virtqueue_publish. */
void virtqueue_push(struct virtqueue *queue, u16 head, u32 written);
/* Shows the driver what was pushed. True: it wants to be interrupted. */
bool virtqueue_publish(struct virtqueue *queue) must_use;
/* Asks to be notified of the next chain. True: there already is one. */
bool virtqueue_rearm(struct virtqueue *queue) must_use;

/* The same where those that are there do not do: asks to be notified of one more. True: there already is. */
bool virtqueue_rearm_for_more(struct virtqueue *queue) must_use;

/* Copies out of the readable, into the writable bytes, from the skip-th on. False, and nothing copied: they are too few. */
bool virtqueue_read(const struct virtqueue_chain *chain, u64 skip, void *to, u64 bytes) must_use;
bool virtqueue_write(const struct virtqueue *queue, const struct virtqueue_chain *chain, u64 skip,
	const void *from, u64 bytes) must_use;

#endif
