/* SPDX-License-Identifier: MIT */
#include "devices/virtio/vhost.h"
#include "base/check.h"

static struct virtio_vhost *vhost_of(struct virtio *virtio)
{
	return container_of(virtio, struct virtio_vhost, virtio);
}

/* ---- to the process ---- */

/* Without empty buffers, which not every process takes; returns how many. */
static unsigned collect_buffers(struct virtio_vhost *vhost)
{
	const struct virtqueue_chain *chain = &vhost->chain;
	const u8 *ram = vhost->virtio.device.machine->memory.host;
	unsigned count = 0;

	for (unsigned i = 0; i < chain->readable + chain->writable; i++) {
		const struct virtqueue_buffer *buffer = &chain->buffers[i];

		if (buffer->bytes)
			vhost->buffers[count++] =
				(struct vhost_buffer){.offset = (u64)(buffer->host - ram),
					.bytes = buffer->bytes,
					.is_writable = i >= chain->readable};
	}
	return count;
}

/* False: no room. One of nothing is done at once. */
static bool submit_chain(struct virtio_vhost *vhost, struct virtqueue *queue)
{
	unsigned count = collect_buffers(vhost);

	if (!count) {
		virtqueue_push(queue, vhost->chain.head, 0);
		return true;
	}
	if (!vhost->backend->submit(vhost->backend->context,
		    (unsigned)(queue - vhost->virtio.queues), vhost->chain.head, vhost->buffers,
		    count))
		return false;
	virtio_begin(&vhost->virtio);
	return true;
}

static void take_chains(struct virtio_vhost *vhost, struct virtqueue *queue)
{
	unsigned index = (unsigned)(queue - vhost->virtio.queues);
	bool has_room = true, has_new = false;

	do {
		while (has_room && virtio_pop(&vhost->virtio, queue, &vhost->chain)) {
			has_room = submit_chain(vhost, queue);
			if (!has_room) {
				virtqueue_unpop(queue);
				break;
			}
			has_new = true;
		}
	} while (has_room && virtio_is_running(&vhost->virtio) && virtqueue_rearm(queue));
	if (has_new)
		vhost->backend->start(vhost->backend->context, index);
	virtio_publish(&vhost->virtio, queue);
}

static void vhost_kick(struct virtio *virtio, struct virtqueue *queue)
{
	struct virtio_vhost *vhost = vhost_of(virtio);

	if (vhost->backend->is_lost)
		virtio_needs_reset(virtio, "the process that does its work has ended");
	else
		take_chains(vhost, queue);
}

/* ---- from it ---- */

static void vhost_written(void *device, u64 offset, u64 bytes)
{
	struct virtio_vhost *vhost = device;

	memory_written(vhost->virtio.device.machine, offset, bytes);
}

static void vhost_done(void *device, unsigned queue, u16 token, u32 written)
{
	struct virtio_vhost *vhost = device;

	virtqueue_push(&vhost->virtio.queues[queue], token, written);
	virtio_end(&vhost->virtio);
}

static void vhost_settle(void *device, unsigned queue)
{
	struct virtio_vhost *vhost = device;

	virtio_publish(&vhost->virtio, &vhost->virtio.queues[queue]);
	if (virtio_is_running(&vhost->virtio))
		take_chains(vhost, &vhost->virtio.queues[queue]);
}

static void vhost_lost(void *device)
{
	struct virtio_vhost *vhost = device;

	if (vhost->virtio.status & VIRTIO_DRIVER_OK)
		virtio_needs_reset(&vhost->virtio, "the process that does its work has ended");
}

struct vhost_device virtio_vhost_device(struct virtio_vhost *vhost)
{
	return (struct vhost_device){vhost_written, vhost_done, vhost_settle, vhost_lost, vhost};
}

/* ---- life ---- */

static const struct virtio_ops block_ops = {
	.kind = "virtio-blk",
	.type = VIRTIO_BLOCK,
	.class_code = 0x010000, /* mass storage */
	.kick = vhost_kick,
};

static const struct virtio_ops fs_ops = {
	.kind = "virtio-fs",
	.type = VIRTIO_FS,
	.class_code = 0x018000, /* mass storage, other */
	.kick = vhost_kick,
};

enum status virtio_vhost_init(struct virtio_vhost *vhost, struct virtio_parameters *common,
	enum virtio_type type, struct vhost_backend *backend)
{
	check(backend->queues && backend->queues <= VHOST_QUEUES_MAX);
	vhost->backend = backend;
	common->queue_count = backend->queues;
	common->queue_size = 256;
	common->features = backend->features;
	common->config = backend->config;
	common->config_bytes = backend->config_bytes;
	common->object = vhost;
	return virtio_init(&vhost->virtio, type == VIRTIO_FS ? &fs_ops : &block_ops, common);
}

void virtio_vhost_fini(struct virtio_vhost *vhost)
{
	if (vhost->virtio.queues)
		virtio_fini(&vhost->virtio);
}
