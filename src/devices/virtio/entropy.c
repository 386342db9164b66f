/* SPDX-License-Identifier: MIT */
#include "devices/virtio/entropy.h"
#include "base/memory.h"

/* More is not given at once: the driver asks again. */
#define PIECE_BYTES 256

static void counted_bytes(struct virtio_entropy *entropy, u8 *to, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++) {
		u64 z = entropy->seed += 0x9e3779b97f4a7c15;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
		to[i] = (u8)(z >> 56);
	}
}

static void fill(struct virtio_entropy *entropy, struct virtqueue *queue)
{
	bool counts = queue->machine->clock.kind == CLOCK_INSTRUCTIONS;
	u32 bytes = (u32)MIN(entropy->chain.writable_bytes, PIECE_BYTES);
	u8 piece[PIECE_BYTES];

	if (counts)
		counted_bytes(entropy, piece, bytes);
	else
		host_random(piece, bytes);
	if (!virtqueue_write(queue, &entropy->chain, 0, piece, bytes))
		bytes = 0;
	virtqueue_push(queue, entropy->chain.head, bytes);
}

static void entropy_kick(struct virtio *virtio, struct virtqueue *queue)
{
	struct virtio_entropy *entropy = container_of(virtio, struct virtio_entropy, virtio);

	do {
		while (virtio_pop(virtio, queue, &entropy->chain))
			fill(entropy, queue);
	} while (virtio_is_running(virtio) && virtqueue_rearm(queue));
	virtio_publish(virtio, queue);
}

static void entropy_reset(struct virtio *virtio)
{
	container_of(virtio, struct virtio_entropy, virtio)->seed = 0;
}

static const struct state_field entropy_fields[] = {
	STATE_UINT(struct virtio_entropy, seed),
};
static const struct state_table entropy_state =
	STATE_TABLE("virtio-entropy", 1, entropy_fields, NULL);

static const struct virtio_ops entropy_ops = {
	.kind = "virtio-entropy",
	.type = VIRTIO_ENTROPY,
	.class_code = 0x00ff00, /* of no class that PCI knows */
	.kick = entropy_kick,
	.reset = entropy_reset,
	.state = &entropy_state,
};

enum status virtio_entropy_init(struct virtio_entropy *entropy, struct virtio_parameters *common)
{
	common->queue_count = 1;
	common->queue_size = 64;
	common->features = 0;
	common->config_bytes = 0;
	common->object = entropy;
	return virtio_init(&entropy->virtio, &entropy_ops, common);
}

void virtio_entropy_fini(struct virtio_entropy *entropy)
{
	virtio_fini(&entropy->virtio);
}
