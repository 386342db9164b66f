/* SPDX-License-Identifier: MIT */
/* Between virtio.c (what a device is to its driver) and transport.c (where in PCI that is). */
#ifndef DEVICES_VIRTIO_INTERNAL_H
#define DEVICES_VIRTIO_INTERNAL_H

#include "devices/virtio/virtio.h"

/* Writes of the common configuration. */
void virtio_set_status(struct virtio *virtio, u8 status);
void virtio_enable_queue(struct virtio *virtio, struct virtqueue *queue);
void virtio_notified(struct virtio *virtio, unsigned queue);

/* The PCI function with its capabilities and registers. */
void transport_init(struct virtio *virtio, const struct virtio_parameters *parameters);
/* A queue's or the configuration's vector; without MSI-X, the pin, and isr_bit says why. */
void transport_interrupt(struct virtio *virtio, u16 vector, u8 isr_bit);

enum isr_bit { ISR_QUEUE = 1, ISR_CONFIG = 2 };

#endif
