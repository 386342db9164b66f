/* SPDX-License-Identifier: MIT */
/*
 * What all virtio devices have in common: a PCI function with the registers that a driver sets the device up by, its queues, its
 * interrupts. Modern only. Source: Virtual I/O Device specification 1.2, chapters 2 to 4.
 *
 * A device holds a struct virtio, fills struct virtio_ops, and then only takes chains and gives them back. What it has in flight
 * in a backend it counts (virtio_begin, virtio_end): a driver's reset is not done before all of it has ended, which drivers wait for.
 */
#ifndef DEVICES_VIRTIO_VIRTIO_H
#define DEVICES_VIRTIO_VIRTIO_H

#include "base/bits.h"
#include "core/device.h"
#include "devices/pci/function.h"
#include "devices/virtio/queue.h"

/* Device types: chapter 5. */
enum virtio_type {
	VIRTIO_NET = 1,
	VIRTIO_BLOCK = 2,
	VIRTIO_CONSOLE = 3,
	VIRTIO_ENTROPY = 4,
	VIRTIO_BALLOON = 5,
	VIRTIO_VSOCK = 19,
	VIRTIO_FS = 26,
};

/* Features of every device: chapter 6. */
#define VIRTIO_F_INDIRECT_DESC BIT(28)
#define VIRTIO_F_EVENT_IDX BIT(29)
#define VIRTIO_F_VERSION_1 BIT(32)

/* Device status: 2.1. */
enum virtio_status {
	VIRTIO_ACKNOWLEDGE = 1,
	VIRTIO_DRIVER = 2,
	VIRTIO_DRIVER_OK = 4,
	VIRTIO_FEATURES_OK = 8,
	VIRTIO_NEEDS_RESET = 64,
	VIRTIO_FAILED = 128,
};

#define VIRTIO_QUEUES_MAX (MSIX_VECTORS_MAX - 1)
#define VIRTIO_NO_VECTOR 0xffff

struct virtio;

struct virtio_ops {
	const char *kind;
	u16 type;	/* enum virtio_type */
	u32 class_code; /* PCI's */
	/* The driver has made chains available in a queue, or may have. Only while it may use the device. */
	void (*kick)(struct virtio *virtio, struct virtqueue *queue);
	/* The driver is ready: what it has agreed on is known. NULL: nothing to do. */
	void (*started)(struct virtio *virtio);
	/* Back to the power-on state: nothing is in flight, the queues are reset already. NULL: there is none. */
	void (*reset)(struct virtio *virtio);
	/* The driver writes to the device's configuration: size 1, 2 or 4. NULL: it cannot be written. */
	void (*config_write)(struct virtio *virtio, unsigned at, unsigned size, u32 value);
	const struct state_table
		*state; /* of the struct that holds the struct virtio; NULL: none */
};

struct virtio {
	struct device device;
	struct state_object transport_state;
	char transport_name[24];
	const struct virtio_ops *ops;
	struct pci_function function;
	struct virtqueue *queues;
	unsigned queue_count;
	const void *config; /* the device's configuration, as the driver reads it */
	unsigned config_bytes;
	u64 offered; /* features */

	u64 accepted; /* features, by the driver */
	u32 offered_select, accepted_select;
	u16 queue_select, config_vector;
	u8 status, generation, isr;
	bool is_resetting; /* a driver's reset waits for what is in flight */
	u32 busy;	   /* what is in flight in backends */
};

struct virtio_parameters {
	struct pci_bus *bus;
	unsigned slot;
	u8 interrupt_line;
	const char *name; /* "disk0"; stays */
	unsigned queue_count;
	u16 queue_size;
	u64 features; /* of its type; those of every device are added */
	const void *config;
	unsigned config_bytes;
	void *object; /* what ops->state describes */
};

/* virtio is zeroed. Memory for the queues comes from the host. */
enum status virtio_init(struct virtio *virtio, const struct virtio_ops *ops,
	const struct virtio_parameters *parameters) must_use;
void virtio_fini(struct virtio *virtio);

/* The driver has accepted the feature. */
static inline bool virtio_has(const struct virtio *virtio, u64 feature)
{
	return virtio->accepted & feature;
}

static inline bool virtio_is_running(const struct virtio *virtio)
{
	return (virtio->status & (VIRTIO_DRIVER_OK | VIRTIO_NEEDS_RESET)) == VIRTIO_DRIVER_OK &&
		!virtio->is_resetting;
}

/* Takes a chain; false: there is none, or the queue is broken and the driver has been told. */
bool virtio_pop(
	struct virtio *virtio, struct virtqueue *queue, struct virtqueue_chain *chain) must_use;
/* Shows the driver what was pushed, and interrupts it where it wants to be. */
void virtio_publish(struct virtio *virtio, struct virtqueue *queue);
/* The driver did what no driver may: it must reset the device. */
void virtio_needs_reset(struct virtio *virtio, const char *why);
/* The device's configuration has changed. */
void virtio_config_changed(struct virtio *virtio);

static inline void virtio_begin(struct virtio *virtio)
{
	virtio->busy++;
}

/* One thing in flight has ended; perhaps a reset was waiting for it. */
void virtio_end(struct virtio *virtio);

#endif
