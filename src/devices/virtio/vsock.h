/* SPDX-License-Identifier: MIT */
/* Sockets between guest and host: streams. Source: Virtual I/O Device specification 1.2, 5.10. */
#ifndef DEVICES_VIRTIO_VSOCK_H
#define DEVICES_VIRTIO_VSOCK_H

#include "core/event.h"
#include "devices/backend/vsock.h"
#include "devices/virtio/virtio.h"

#define VSOCK_HOST_CID 2
#define VSOCK_GUEST_CID 3
/* Of what the guest has sent and the place has not taken; a connection. */
#define VSOCK_BUFFER_BYTES 0x10000
/* Answers to packets that belong to no connection. */
#define VSOCK_REPLIES_MAX 64
#define VSOCK_PIECE_BYTES 0x4000

/* 5.10.6 */
struct vsock_header {
	u64 source_cid, target_cid;
	u32 source_port, target_port;
	u32 bytes;
	u16 type, operation;
	u32 flags;
	u32 room, taken; /* the sender's buf_alloc and fwd_cnt */
} __attribute__((packed));
_Static_assert(sizeof(struct vsock_header) == 44, "5.10.6");

enum vsock_state {
	VSOCK_FREE,
	VSOCK_ASKING_HOST,  /* the guest has asked, the place has not answered */
	VSOCK_ASKING_GUEST, /* the other way around */
	VSOCK_OPEN,
	VSOCK_RESETTING, /* free once the guest has been told */
};

struct vsock_connection {
	enum vsock_state state;
	u32 guest_port, host_port;
	u32 pending;	  /* packets that the guest is to get: bits, by operation */
	bool has_backend; /* the place has something under its number */
	bool guest_ended, guest_is_deaf, host_ended, host_is_deaf;
	bool output_ended; /* the place knows that guest_ended */
	bool is_stalled;   /* there is input, and no credit or no buffer of the guest's */
	bool has_asked;	   /* for credit */
	/* Credit, in bytes that wrap: 5.10.6.3. */
	u32 guest_room, guest_taken, sent;
	u32 taken, told_taken;
	/* What the place has not taken yet; the device's buffers[] has the bytes. */
	u32 start, bytes;
};

struct virtio_vsock {
	struct virtio virtio;
	struct vsock_backend *backend;
	u64 config; /* the guest's CID */
	struct vsock_connection connections[VSOCK_CONNECTIONS_MAX];
	u8 (*buffers)[VSOCK_BUFFER_BYTES];
	struct vsock_header replies[VSOCK_REPLIES_MAX];
	unsigned reply_start, reply_count;
	unsigned next_turn; /* whose packets go first */
	u32 next_port;	    /* of the host's ends */
	bool has_waiting;   /* packets of the guest's wait for room among the replies */
	bool must_tell_reset;
	struct event loaded; /* a saved machine has been loaded: its connections are gone */
	struct virtqueue_chain chain;
	u8 piece[VSOCK_PIECE_BYTES];
};

/* vsock is zeroed. `common` needs bus, slot, interrupt_line and name. The backend lives as long as the device. */
enum status virtio_vsock_init(struct virtio_vsock *vsock, struct virtio_parameters *common,
	struct vsock_backend *backend) must_use;
void virtio_vsock_fini(struct virtio_vsock *vsock);
struct vsock_device virtio_vsock_device(struct virtio_vsock *vsock);

#endif
