/* SPDX-License-Identifier: MIT */
/*
 * What a network card asks of the outside: Ethernet frames, each way, whole or not at all.
 *
 * Output: send never blocks; false means no room, and the place calls writable once there is some. Input: the place offers frames by
 * the device's receive; false means that the device has no room, and it calls resume_input once it may have.
 */
#ifndef DEVICES_BACKEND_NET_H
#define DEVICES_BACKEND_NET_H

#include "base/types.h"

#define NET_ADDRESS_BYTES 6
#define NET_HEADER_BYTES 14
/* The largest frame, with an IP packet of 64 KiB in it. */
#define NET_FRAME_BYTES_MAX (65535 + NET_HEADER_BYTES + 4)

/* What is still to be done to a frame: virtio's header and Linux' virtio_net_hdr, Virtual I/O Device specification 1.2, 5.1.6. */
enum net_offload_flags { NET_NEEDS_CHECKSUM = 1, NET_CHECKSUM_IS_GOOD = 2 };
enum net_segmentation { NET_WHOLE = 0, NET_TCP4 = 1, NET_TCP6 = 4, NET_ECN = 0x80 };

struct net_offload {
	u8 flags, segmentation;
	u16 header_bytes, segment_bytes;
	u16 checksum_start, checksum_offset;
};

struct net_backend {
	/* With machine->lock held. */
	bool (*send)(void *context, const struct net_offload *offload, const u8 *frame, u32 bytes);
	void (*resume_input)(void *context);
	/* Which offloads the frames that it gives may want from now on. NULL: it gives whole frames with checksums. */
	void (*set_offload)(void *context, bool checksum, bool tcp4, bool tcp6);
	void *context;
	bool can_offload; /* takes frames that want checksums and segmentation */
	bool takes_large; /* takes packets of any size, whatever the MTU: what the guest wants cut goes whole */
	bool is_trusted; /* the checksums of what it gives are good */
	u16 mtu;	 /* the largest IP packet; 0: does not say */
	bool link_is_up; /* at the start */
};

/* What the device gives to the place. All with machine->lock held. */
struct net_device {
	bool (*receive)(void *device, const struct net_offload *offload, const u8 *frame,
		u32 bytes) must_use;
	void (*writable)(void *device);
	void (*set_link)(void *device, bool is_up);
	void *device;
};

#endif
