/* SPDX-License-Identifier: MIT */
#include "devices/virtio/virtio.h"
#include "base/check.h"
#include "base/memory.h"
#include "core/trace.h"
#include "devices/virtio/internal.h"

/* ---- for devices ---- */

void virtio_needs_reset(struct virtio *virtio, const char *why)
{
	if (virtio->status & VIRTIO_NEEDS_RESET)
		return;
	trace("%s needs a reset: %s", virtio->device.name, why);
	virtio->status |= VIRTIO_NEEDS_RESET;
	if (virtio->status & VIRTIO_DRIVER_OK)
		transport_interrupt(virtio, virtio->config_vector, ISR_CONFIG);
}

bool virtio_pop(struct virtio *virtio, struct virtqueue *queue, struct virtqueue_chain *chain)
{
	if (!virtio_is_running(virtio))
		return false;
	enum virtqueue_result result = virtqueue_pop(queue, chain);
	if (result == VIRTQUEUE_BROKEN)
		virtio_needs_reset(virtio, queue->state_name);
	return result == VIRTQUEUE_CHAIN;
}

void virtio_publish(struct virtio *virtio, struct virtqueue *queue)
{
	if (virtqueue_publish(queue))
		transport_interrupt(virtio, queue->vector, ISR_QUEUE);
}

void virtio_config_changed(struct virtio *virtio)
{
	virtio->generation++;
	if (virtio_is_running(virtio))
		transport_interrupt(virtio, virtio->config_vector, ISR_CONFIG);
}

/* ---- reset ---- */

static void reset_now(struct virtio *virtio)
{
	virtio->accepted = 0;
	virtio->offered_select = virtio->accepted_select = 0;
	virtio->queue_select = 0;
	virtio->config_vector = VIRTIO_NO_VECTOR;
	virtio->status = virtio->isr = 0;
	virtio->is_resetting = false;
	for (unsigned i = 0; i < virtio->queue_count; i++)
		virtqueue_reset(&virtio->queues[i]);
	pci_function_set_pin(&virtio->function, false);
	if (virtio->ops->reset)
		virtio->ops->reset(virtio);
}

void virtio_end(struct virtio *virtio)
{
	check(virtio->busy);
	virtio->busy--;
	if (virtio->is_resetting && !virtio->busy)
		reset_now(virtio);
}

/* The board has drained the backends. */
static void virtio_device_reset(struct device *device)
{
	struct virtio *virtio = container_of(device, struct virtio, device);

	check(!virtio->busy);
	pci_function_reset(&virtio->function);
	virtio->generation = 0;
	reset_now(virtio);
}

/* ---- what the driver writes ---- */

void virtio_notified(struct virtio *virtio, unsigned queue)
{
	if (queue < virtio->queue_count && virtio_is_running(virtio) &&
		virtio->queues[queue].is_enabled)
		virtio->ops->kick(virtio, &virtio->queues[queue]);
}

void virtio_enable_queue(struct virtio *virtio, struct virtqueue *queue)
{
	if (!(virtio->status & VIRTIO_FEATURES_OK) || queue->is_enabled)
		return;
	if (!virtqueue_enable(queue, virtio_has(virtio, VIRTIO_F_EVENT_IDX),
		    virtio_has(virtio, VIRTIO_F_INDIRECT_DESC)))
		virtio_needs_reset(virtio, queue->state_name);
}

/* 2.2.2: what the driver accepts must have been offered, and we are not a device of before 1.0. */
static bool features_are_good(const struct virtio *virtio)
{
	return !(virtio->accepted & ~virtio->offered) && virtio_has(virtio, VIRTIO_F_VERSION_1);
}

void virtio_set_status(struct virtio *virtio, u8 status)
{
	u8 before = virtio->status;

	if (virtio->is_resetting)
		return;
	if (!status) {
		virtio->is_resetting = true;
		if (!virtio->busy)
			reset_now(virtio);
		return;
	}
	if (!(before & VIRTIO_FEATURES_OK) && !features_are_good(virtio))
		status &= (u8)~VIRTIO_FEATURES_OK;
	/* Bits go away only by a reset: 2.1.1. */
	virtio->status = status | before;
	if (!(before & VIRTIO_DRIVER_OK) && status & VIRTIO_DRIVER_OK) {
		if (virtio->ops->started)
			virtio->ops->started(virtio);
		for (unsigned i = 0; i < virtio->queue_count; i++)
			virtio_notified(virtio, i);
	}
}

/* ---- state and life ---- */

static bool virtio_loaded(void *object)
{
	struct virtio *virtio = object;

	return virtio->status & VIRTIO_FEATURES_OK ? features_are_good(virtio) : true;
}

static const struct state_field virtio_fields[] = {
	STATE_UINT(struct virtio, accepted),
	STATE_UINT(struct virtio, offered_select),
	STATE_UINT(struct virtio, accepted_select),
	STATE_UINT(struct virtio, queue_select),
	STATE_UINT(struct virtio, config_vector),
	STATE_UINT(struct virtio, status),
	STATE_UINT(struct virtio, generation),
	STATE_UINT(struct virtio, isr),
};
static const struct state_table virtio_state =
	STATE_TABLE("virtio", 1, virtio_fields, virtio_loaded);

static const struct device_ops virtio_device_ops = {"virtio", virtio_device_reset, NULL};

static void register_states(
	struct virtio *virtio, struct machine *machine, const struct virtio_parameters *parameters)
{
	struct text text;

	device_attach(machine, &virtio->device, &virtio_device_ops, parameters->name, NULL);
	text_init(&text, virtio->transport_name, sizeof(virtio->transport_name));
	text_format(&text, "%s.virtio", parameters->name);
	state_register(
		machine, &virtio->transport_state, virtio->transport_name, &virtio_state, virtio);
	if (virtio->ops->state)
		state_register(machine, &virtio->device.state, parameters->name, virtio->ops->state,
			parameters->object);
}

enum status virtio_init(struct virtio *virtio, const struct virtio_ops *ops,
	const struct virtio_parameters *parameters)
{
	struct machine *machine = parameters->bus->machine;
	unsigned count = parameters->queue_count;

	check(count && count <= VIRTIO_QUEUES_MAX);
	virtio->queues = host_memory_get(count * sizeof(struct virtqueue));
	if (!virtio->queues)
		return STATUS_NO_MEMORY;
	virtio->ops = ops;
	virtio->queue_count = count;
	virtio->config = parameters->config;
	virtio->config_bytes = parameters->config_bytes;
	virtio->offered = parameters->features | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX |
		VIRTIO_F_INDIRECT_DESC;
	register_states(virtio, machine, parameters);
	transport_init(virtio, parameters);
	for (unsigned i = 0; i < count; i++)
		virtqueue_init(
			&virtio->queues[i], machine, parameters->name, i, parameters->queue_size);
	return STATUS_OK;
}

void virtio_fini(struct virtio *virtio)
{
	host_memory_put(virtio->queues, virtio->queue_count * sizeof(struct virtqueue));
	virtio->queues = NULL;
}
