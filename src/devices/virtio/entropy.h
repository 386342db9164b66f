/* SPDX-License-Identifier: MIT */
/* A source of random bytes. Source: Virtual I/O Device specification 1.2, 5.4. */
#ifndef DEVICES_VIRTIO_ENTROPY_H
#define DEVICES_VIRTIO_ENTROPY_H

#include "devices/virtio/virtio.h"

struct virtio_entropy {
	struct virtio virtio;
	u64 seed; /* CLOCK_INSTRUCTIONS: the same run twice has the same bytes */
	struct virtqueue_chain chain;
};

/* entropy is zeroed. `common` needs bus, slot, interrupt_line and name. */
enum status virtio_entropy_init(
	struct virtio_entropy *entropy, struct virtio_parameters *common) must_use;
void virtio_entropy_fini(struct virtio_entropy *entropy);

#endif
