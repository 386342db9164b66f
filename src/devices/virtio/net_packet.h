/* SPDX-License-Identifier: MIT */
/* What has to be known of a frame's inside: its checksum, and which flow it belongs to. */
#ifndef DEVICES_VIRTIO_NET_PACKET_H
#define DEVICES_VIRTIO_NET_PACKET_H

#include "devices/backend/net.h"

/* The offload says what can be of a frame of that many bytes. */
bool net_offload_is_good(const struct net_offload *offload, u32 bytes) must_use;
/* Puts in the checksum that is asked for; the offload is good. RFC 1071. */
void net_complete_checksum(const struct net_offload *offload, u8 *frame, u32 bytes);
/* The same number for all frames of a connection that go in one direction. */
u32 net_flow(const u8 *frame, u32 bytes);

#endif
