/* SPDX-License-Identifier: MIT */
/* A network card. Source: Virtual I/O Device specification 1.2, 5.1. */
#ifndef DEVICES_VIRTIO_NET_H
#define DEVICES_VIRTIO_NET_H

#include "devices/backend/net.h"
#include "devices/virtio/virtio.h"

#define VIRTIO_NET_PAIRS_MAX 16

struct virtio_net_config {
	u8 address[NET_ADDRESS_BYTES];
	u16 status, pairs_max, mtu;
};

struct virtio_net {
	struct virtio virtio;
	struct net_backend *backend;
	struct virtio_net_config config;
	u16 pairs; /* that the driver uses: queues 2n receive, 2n + 1 transmit */
	bool link_is_up;
	u64 sent_frames, sent_bytes, received_frames, received_bytes, dropped_frames;
	struct virtqueue_chain chain;
	u8 frame[NET_FRAME_BYTES_MAX]; /* copied out of guest memory */
};

struct virtio_net_parameters {
	struct net_backend *backend; /* lives as long as the card */
	u8 address[NET_ADDRESS_BYTES];
	unsigned pairs;
};

/* net is zeroed. `common` needs bus, slot, interrupt_line and name. */
enum status virtio_net_init(struct virtio_net *net, struct virtio_parameters *common,
	const struct virtio_net_parameters *parameters) must_use;
void virtio_net_fini(struct virtio_net *net);
struct net_device virtio_net_device(struct virtio_net *net);

#endif
