/* SPDX-License-Identifier: MIT */
/*
 * A device of which another process does the work: a disk or a shared folder (virtio-fs). What the guest puts into its rings is taken out and checked
 * here, as any other device's, and handed on. Source: Virtual I/O Device specification 1.2, 5.2 and 5.11.
 */
#ifndef DEVICES_VIRTIO_VHOST_H
#define DEVICES_VIRTIO_VHOST_H

#include "devices/backend/vhost.h"
#include "devices/virtio/virtio.h"

struct virtio_vhost {
	struct virtio virtio;
	struct vhost_backend *backend;
	struct virtqueue_chain chain;
	struct vhost_buffer buffers[VIRTQUEUE_BUFFERS_MAX];
};

/* vhost is zeroed. `common` needs bus, slot, interrupt_line and name. type is VIRTIO_BLOCK or VIRTIO_FS. */
enum status virtio_vhost_init(struct virtio_vhost *vhost, struct virtio_parameters *common,
	enum virtio_type type, struct vhost_backend *backend) must_use;
void virtio_vhost_fini(struct virtio_vhost *vhost);
struct vhost_device virtio_vhost_device(struct virtio_vhost *vhost);

#endif
