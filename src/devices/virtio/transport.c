/* SPDX-License-Identifier: MIT */
/* virtio over PCI: Virtual I/O Device specification 1.2, 4.1. All registers lie in BAR 0, a page each. */
#include "base/check.h"
#include "base/memory.h"
#include "devices/virtio/internal.h"

#define VIRTIO_VENDOR 0x1af4
#define VIRTIO_DEVICE 0x1040 /* + the type */
#define NOTIFY_MULTIPLIER 4

enum bar_page {
	PAGE_COMMON,
	PAGE_ISR,
	PAGE_DEVICE,
	PAGE_NOTIFY,
	PAGE_MSIX_TABLE,
	PAGE_MSIX_PENDING,
	PAGES = 8,
};
#define PAGE(number) ((u32)(number) << 12)

/* 4.1.4.3. Sizes are those of the driver's accesses; the ends tell them. */
enum common_offset {
	COMMON_OFFERED_SELECT = 0x00,
	COMMON_OFFERED = 0x04,
	COMMON_ACCEPTED_SELECT = 0x08,
	COMMON_ACCEPTED = 0x0c,
	COMMON_CONFIG_VECTOR = 0x10,
	COMMON_QUEUES = 0x12,
	COMMON_STATUS = 0x14,
	COMMON_GENERATION = 0x15,
	COMMON_QUEUE_SELECT = 0x16,
	COMMON_QUEUE_SIZE = 0x18,
	COMMON_QUEUE_VECTOR = 0x1a,
	COMMON_QUEUE_ENABLE = 0x1c,
	COMMON_QUEUE_NOTIFY_OFFSET = 0x1e,
	COMMON_QUEUE_DESCRIPTORS = 0x20,
	COMMON_QUEUE_DRIVER = 0x28,
	COMMON_QUEUE_DEVICE = 0x30,
	COMMON_BYTES = 0x38,
};

static struct virtqueue *selected(struct virtio *virtio)
{
	return virtio->queue_select < virtio->queue_count ? &virtio->queues[virtio->queue_select]
							  : NULL;
}

/* A window of 32 bits on 64 features. */
static u32 features_word(u64 features, u32 select)
{
	return select < 2 ? (u32)(features >> 32 * select) : 0;
}

/* ---- reading ---- */

static void store(u8 *image, unsigned at, u64 value, unsigned bytes)
{
	memcpy(image + at, &value, bytes);
}

static void common_image_queue(u8 *image, const struct virtqueue *queue, u16 number)
{
	store(image, COMMON_QUEUE_SIZE, queue->size, 2);
	store(image, COMMON_QUEUE_VECTOR, queue->vector, 2);
	store(image, COMMON_QUEUE_ENABLE, queue->is_enabled, 2);
	store(image, COMMON_QUEUE_NOTIFY_OFFSET, number, 2);
	store(image, COMMON_QUEUE_DESCRIPTORS, queue->descriptors, 8);
	store(image, COMMON_QUEUE_DRIVER, queue->driver, 8);
	store(image, COMMON_QUEUE_DEVICE, queue->device, 8);
}

/* The registers as bytes: a driver may read parts of them. */
static void common_image(struct virtio *virtio, u8 image[COMMON_BYTES])
{
	const struct virtqueue *queue = selected(virtio);

	memset(image, 0, COMMON_BYTES);
	store(image, COMMON_OFFERED_SELECT, virtio->offered_select, 4);
	store(image, COMMON_OFFERED, features_word(virtio->offered, virtio->offered_select), 4);
	store(image, COMMON_ACCEPTED_SELECT, virtio->accepted_select, 4);
	store(image, COMMON_ACCEPTED, features_word(virtio->accepted, virtio->accepted_select), 4);
	store(image, COMMON_CONFIG_VECTOR, virtio->config_vector, 2);
	store(image, COMMON_QUEUES, virtio->queue_count, 2);
	store(image, COMMON_STATUS, virtio->status, 1);
	store(image, COMMON_GENERATION, virtio->generation, 1);
	store(image, COMMON_QUEUE_SELECT, virtio->queue_select, 2);
	if (queue)
		common_image_queue(image, queue, virtio->queue_select);
}

static u64 bytes_read(const void *from, u64 limit, u64 at, unsigned size)
{
	u64 value = 0;

	if (at + size <= limit)
		memcpy(&value, (const u8 *)from + at, size);
	return value;
}

static u64 isr_read(struct virtio *virtio)
{
	u8 isr = virtio->isr;

	virtio->isr = 0;
	pci_function_set_pin(&virtio->function, false);
	return isr;
}

static void registers_read(struct virtio *virtio, struct bus_access *access)
{
	u64 at = access->address & 0xfff;
	u8 image[COMMON_BYTES];

	access->value = 0;
	switch (access->address >> 12) {
	case PAGE_COMMON:
		common_image(virtio, image);
		access->value = bytes_read(image, COMMON_BYTES, at, access->size);
		break;
	case PAGE_ISR:
		access->value = at ? 0 : isr_read(virtio);
		break;
	case PAGE_DEVICE:
		access->value = bytes_read(virtio->config, virtio->config_bytes, at, access->size);
		break;
	}
}

/* ---- writing ---- */

static u64 with_half(u64 before, u64 at, u32 value)
{
	unsigned shift = at & 4 ? 32 : 0;

	return (before & ~((u64)0xffffffff << shift)) | (u64)value << shift;
}

static void accepted_write(struct virtio *virtio, u32 value)
{
	if (!(virtio->status & VIRTIO_FEATURES_OK) && virtio->accepted_select < 2)
		virtio->accepted = with_half(virtio->accepted, virtio->accepted_select * 4, value);
}

/* A vector that the table lacks is none: 4.1.5.1.2.1. */
static u16 existing_vector(const struct virtio *virtio, u16 vector)
{
	return vector < virtio->function.msix.vectors ? vector : VIRTIO_NO_VECTOR;
}

static void queue_write_16(struct virtio *virtio, unsigned at, u16 value)
{
	struct virtqueue *queue = selected(virtio);

	if (!queue)
		return;
	if (at == COMMON_QUEUE_VECTOR)
		queue->vector = existing_vector(virtio, value);
	else if (at == COMMON_QUEUE_SIZE && !queue->is_enabled)
		queue->size = value;
	else if (at == COMMON_QUEUE_ENABLE && value == 1)
		virtio_enable_queue(virtio, queue);
}

static void queue_write_32(struct virtio *virtio, unsigned at, u32 value)
{
	struct virtqueue *queue = selected(virtio);

	if (!queue || queue->is_enabled)
		return;
	if (at >= COMMON_QUEUE_DEVICE)
		queue->device = with_half(queue->device, at, value);
	else if (at >= COMMON_QUEUE_DRIVER)
		queue->driver = with_half(queue->driver, at, value);
	else
		queue->descriptors = with_half(queue->descriptors, at, value);
}

static void common_write_16(struct virtio *virtio, unsigned at, u16 value)
{
	if (at == COMMON_CONFIG_VECTOR)
		virtio->config_vector = existing_vector(virtio, value);
	else if (at == COMMON_QUEUE_SELECT)
		virtio->queue_select = value;
	else
		queue_write_16(virtio, at, value);
}

static void common_write_32(struct virtio *virtio, unsigned at, u32 value)
{
	if (at == COMMON_OFFERED_SELECT)
		virtio->offered_select = value;
	else if (at == COMMON_ACCEPTED_SELECT)
		virtio->accepted_select = value;
	else if (at == COMMON_ACCEPTED)
		accepted_write(virtio, value);
	else if (at >= COMMON_QUEUE_DESCRIPTORS && at < COMMON_BYTES)
		queue_write_32(virtio, at, value);
}

static void common_write(struct virtio *virtio, unsigned at, unsigned size, u64 value)
{
	if (virtio->is_resetting)
		return;
	if (size == 1 && at == COMMON_STATUS)
		virtio_set_status(virtio, (u8)value);
	else if (size == 2)
		common_write_16(virtio, at, (u16)value);
	else if (size == 4)
		common_write_32(virtio, at, (u32)value);
	else if (size == 8 && at >= COMMON_QUEUE_DESCRIPTORS) {
		common_write_32(virtio, at, (u32)value);
		common_write_32(virtio, at + 4, (u32)(value >> 32));
	}
}

static void device_config_write(struct virtio *virtio, unsigned at, unsigned size, u64 value)
{
	if (virtio->ops->config_write && size <= 4 && at + size <= virtio->config_bytes)
		virtio->ops->config_write(virtio, at, size, (u32)value);
}

static void registers_write(struct virtio *virtio, struct bus_access *access)
{
	unsigned at = access->address & 0xfff;

	switch (access->address >> 12) {
	case PAGE_COMMON:
		common_write(virtio, at, access->size, access->value);
		break;
	case PAGE_DEVICE:
		device_config_write(virtio, at, access->size, access->value);
		break;
	case PAGE_NOTIFY:
		virtio_notified(virtio, at / NOTIFY_MULTIPLIER);
		break;
	}
}

static void bar_access(void *owner, struct bus_access *access)
{
	struct virtio *virtio = owner;
	u64 page = access->address >> 12;

	if (page == PAGE_MSIX_TABLE || page == PAGE_MSIX_PENDING) {
		access->address &= 0xfff;
		if (page == PAGE_MSIX_TABLE)
			msix_table_access(&virtio->function.msix, access);
		else
			msix_pending_access(&virtio->function.msix, access);
	} else if (access->is_write) {
		registers_write(virtio, access);
	} else {
		registers_read(virtio, access);
	}
}

/* ---- interrupts ---- */

void transport_interrupt(struct virtio *virtio, u16 vector, u8 isr_bit)
{
	if (msix_is_enabled(&virtio->function.msix)) {
		msix_send(&virtio->function.msix, vector);
		return;
	}
	virtio->isr |= isr_bit;
	pci_function_set_pin(&virtio->function, true);
}

/* ---- capabilities: 4.1.4 ---- */

enum capability_type {
	CAPABILITY_COMMON = 1,
	CAPABILITY_NOTIFY,
	CAPABILITY_ISR,
	CAPABILITY_DEVICE,
	CAPABILITY_WINDOW,
};

/* Behind the capability's two bytes. */
struct capability {
	u8 bytes, type, bar, id, padding[2];
	u8 offset[4], length[4];
	u8 more[4]; /* notify: the multiplier; window: the data */
};

enum { WINDOW_BAR = 4, WINDOW_OFFSET = 8, WINDOW_LENGTH = 12, WINDOW_DATA = 16 };

static unsigned add_capability(struct virtio *virtio, enum capability_type type, u32 offset,
	u32 length, u32 more, unsigned more_bytes)
{
	unsigned bytes = offsetof(struct capability, more) + more_bytes;
	struct capability capability = {.bytes = (u8)(bytes + 2), .type = (u8)type};

	memcpy(capability.offset, &offset, 4);
	memcpy(capability.length, &length, 4);
	memcpy(capability.more, &more, 4);
	return pci_function_add_capability(
		&virtio->function, PCI_CAPABILITY_VENDOR, &capability, bytes);
}

/* 4.1.4.9: an access to a BAR by way of configuration space, for those who can't reach memory yet. False: the guest asks for none. */
static bool window_access(struct virtio *virtio, struct bus_access *access)
{
	const u8 *window = &virtio->function.config[virtio->function.hooked_start - WINDOW_DATA];
	u32 offset, length;

	memcpy(&offset, window + WINDOW_OFFSET, 4);
	memcpy(&length, window + WINDOW_LENGTH, 4);
	if (window[WINDOW_BAR] || (length != 1 && length != 2 && length != 4) ||
		offset & (length - 1) || offset > PAGE(PAGES) - 4)
		return false;
	access->space = BUS_MEMORY;
	access->address = offset;
	access->size = (u8)length;
	bar_access(virtio, access);
	return true;
}

static u32 window_read(void *owner, unsigned at, unsigned size)
{
	struct bus_access access = {.is_write = false};

	return window_access(owner, &access) ? (u32)access.value : 0;
}

static void window_write(void *owner, unsigned at, unsigned size, u32 value)
{
	struct bus_access access = {.is_write = true, .value = value};

	window_access(owner, &access);
}

static void add_window(struct virtio *virtio)
{
	struct pci_function *function = &virtio->function;
	unsigned at = add_capability(virtio, CAPABILITY_WINDOW, 0, 0, 0, 4);

	function->writable[at + WINDOW_BAR] = 0xff;
	memset(function->writable + at + WINDOW_OFFSET, 0xff, 8);
	function->hooked_start = (u8)(at + WINDOW_DATA);
	function->hooked_bytes = 4;
	function->config_read = window_read;
	function->config_write = window_write;
	function->owner = virtio;
}

void transport_init(struct virtio *virtio, const struct virtio_parameters *parameters)
{
	struct pci_function *function = &virtio->function;
	u16 device = (u16)(VIRTIO_DEVICE + virtio->ops->type);
	const struct pci_identity identity = {
		.vendor = VIRTIO_VENDOR,
		.device = device,
		.subsystem_vendor = VIRTIO_VENDOR,
		.subsystem = device,
		.class_code = virtio->ops->class_code,
		.revision = 1,
	};

	pci_function_init(function, parameters->bus, parameters->slot, parameters->name, &identity);
	pci_function_add_bar(function, 0, PAGE(PAGES), bar_access, virtio);
	pci_function_add_pin(function, parameters->interrupt_line);
	pci_function_add_msix(function, virtio->queue_count + 1, 0, PAGE(PAGE_MSIX_TABLE),
		PAGE(PAGE_MSIX_PENDING));
	add_capability(virtio, CAPABILITY_COMMON, PAGE(PAGE_COMMON), COMMON_BYTES, 0, 0);
	add_capability(virtio, CAPABILITY_NOTIFY, PAGE(PAGE_NOTIFY),
		virtio->queue_count * NOTIFY_MULTIPLIER, NOTIFY_MULTIPLIER, 4);
	add_capability(virtio, CAPABILITY_ISR, PAGE(PAGE_ISR), 1, 0, 0);
	if (virtio->config_bytes)
		add_capability(
			virtio, CAPABILITY_DEVICE, PAGE(PAGE_DEVICE), virtio->config_bytes, 0, 0);
	add_window(virtio);
}
