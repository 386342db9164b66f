/* SPDX-License-Identifier: MIT */
#include "devices/virtio/queue.h"
#include "base/atomic.h"
#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"
#include "core/trace.h"

enum descriptor_flags { DESCRIPTOR_NEXT = 1, DESCRIPTOR_WRITE = 2, DESCRIPTOR_INDIRECT = 4 };
#define DESCRIPTOR_BYTES 16
#define AVAILABLE_NO_INTERRUPT 1
#define USED_ELEMENT_BYTES 8

struct descriptor {
	u64 address;
	u32 bytes;
	u16 flags, next;
};

/* ---- the rings ---- */

static u32 driver_bytes(u16 size)
{
	return 4 + 2 * (u32)size + 2;
}

static u32 device_bytes(u16 size)
{
	return 4 + USED_ELEMENT_BYTES * (u32)size + 2;
}

static u16 available_index(const struct virtqueue *queue)
{
	return ram_load_16(queue->host_driver + 2);
}

/* A word of the device's part is written. */
static void device_written(const struct virtqueue *queue, u32 at, u32 bytes)
{
	memory_written(queue->machine, (u64)(queue->host_device - queue->machine->memory.host) + at,
		bytes);
}

static void device_store_16(const struct virtqueue *queue, u32 at, u16 value)
{
	ram_store_16(queue->host_device + at, value);
	device_written(queue, at, 2);
}

/* Our stores before, our loads after: neither passes the other, nor the driver's. */
static void full_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static bool break_queue(struct virtqueue *queue, const char *why)
{
	trace("%s: %s", queue->state_name, why);
	queue->is_broken = true;
	return false;
}

/* ---- setting up ---- */

static bool resolve(struct virtqueue *queue)
{
	const struct memory *memory = &queue->machine->memory;
	u16 size = queue->size;

	if (!size || size & (size - 1) || size > queue->size_max)
		return false;
	if (queue->descriptors & 15 || queue->driver & 1 || queue->device & 3)
		return false;
	queue->host_descriptors =
		memory_host(memory, queue->descriptors, DESCRIPTOR_BYTES * (u64)size);
	queue->host_driver = memory_host(memory, queue->driver, driver_bytes(size));
	queue->host_device = memory_host(memory, queue->device, device_bytes(size));
	return queue->host_descriptors && queue->host_driver && queue->host_device;
}

bool virtqueue_enable(struct virtqueue *queue, bool has_event_index, bool has_indirect)
{
	queue->has_event_index = has_event_index;
	queue->has_indirect = has_indirect;
	if (!resolve(queue))
		return break_queue(queue, "no queue can be where the driver says");
	queue->is_enabled = true;
	queue->must_signal = true;
	return true;
}

void virtqueue_reset(struct virtqueue *queue)
{
	queue->size = queue->size_max;
	queue->vector = 0xffff;
	queue->descriptors = queue->driver = queue->device = 0;
	queue->next_available = queue->next_used = queue->signalled = 0;
	queue->is_enabled = queue->is_broken = queue->must_signal = false;
	queue->has_event_index = queue->has_indirect = false;
	queue->in_flight = 0;
	queue->host_descriptors = queue->host_driver = queue->host_device = NULL;
}

/* ---- taking ---- */

static struct descriptor load_descriptor(const u8 *table, unsigned index)
{
	const u8 *at = table + (u64)index * DESCRIPTOR_BYTES;
	u64 rest = ram_load_64(at + 8);

	return (struct descriptor){.address = ram_load_64(at),
		.bytes = (u32)rest,
		.flags = (u16)(rest >> 32),
		.next = (u16)(rest >> 48)};
}

static bool add_buffer(
	struct virtqueue *queue, struct virtqueue_chain *chain, const struct descriptor *descriptor)
{
	unsigned count = chain->readable + chain->writable;
	bool is_writable = descriptor->flags & DESCRIPTOR_WRITE;
	u8 *host = memory_host(&queue->machine->memory, descriptor->address, descriptor->bytes);

	if (count == VIRTQUEUE_BUFFERS_MAX)
		return break_queue(queue, "a chain loops or is too long");
	if (!host)
		return break_queue(queue, "a buffer outside of RAM");
	if (!is_writable && chain->writable)
		return break_queue(queue, "a buffer to read behind one to write");
	chain->buffers[count] = (struct virtqueue_buffer){.host = host, .bytes = descriptor->bytes};
	if (is_writable) {
		chain->writable++;
		chain->writable_bytes += descriptor->bytes;
	} else {
		chain->readable++;
		chain->readable_bytes += descriptor->bytes;
	}
	return true;
}

/* Follows a chain in a table, from `index` on. An indirect descriptor, which can only be the last, ends it: it is in *last. */
static bool follow(struct virtqueue *queue, struct virtqueue_chain *chain, const u8 *table,
	u32 entries, u32 index, struct descriptor *last)
{
	for (u32 steps = 0; steps < entries; steps++) {
		if (index >= entries)
			return break_queue(queue, "a descriptor that does not exist");
		*last = load_descriptor(table, index);
		if (last->flags & DESCRIPTOR_INDIRECT)
			return true;
		if (!add_buffer(queue, chain, last))
			return false;
		if (!(last->flags & DESCRIPTOR_NEXT))
			return true;
		index = last->next;
	}
	return break_queue(queue, "a chain loops");
}

static bool follow_indirect(
	struct virtqueue *queue, struct virtqueue_chain *chain, const struct descriptor *descriptor)
{
	const u8 *table =
		memory_host(&queue->machine->memory, descriptor->address, descriptor->bytes);
	u32 entries = descriptor->bytes / DESCRIPTOR_BYTES;
	struct descriptor last;

	if (!queue->has_indirect || descriptor->flags & DESCRIPTOR_NEXT)
		return break_queue(queue, "an indirect descriptor where none may be");
	if (!table || !entries || descriptor->bytes % DESCRIPTOR_BYTES)
		return break_queue(queue, "no indirect table can be where the driver says");
	if (!follow(queue, chain, table, entries, 0, &last))
		return false;
	if (last.flags & DESCRIPTOR_INDIRECT)
		return break_queue(queue, "an indirect table in an indirect table");
	return true;
}

static bool take_chain(struct virtqueue *queue, struct virtqueue_chain *chain)
{
	u32 slot = queue->next_available & (queue->size - 1u);
	struct descriptor last;

	chain->head = ram_load_16(queue->host_driver + 4 + 2 * slot);
	chain->readable = chain->writable = 0;
	chain->readable_bytes = chain->writable_bytes = 0;
	if (!follow(queue, chain, queue->host_descriptors, queue->size, chain->head, &last))
		return false;
	return !(last.flags & DESCRIPTOR_INDIRECT) || follow_indirect(queue, chain, &last);
}

enum virtqueue_result virtqueue_pop(struct virtqueue *queue, struct virtqueue_chain *chain)
{
	if (queue->is_broken)
		return VIRTQUEUE_BROKEN;
	/* A driver that gives a chain twice has more in flight than there can be: the rest waits. */
	if (!queue->is_enabled || queue->in_flight >= queue->size)
		return VIRTQUEUE_EMPTY;
	u16 ahead = (u16)(available_index(queue) - queue->next_available);
	if (!ahead)
		return VIRTQUEUE_EMPTY;
	if (ahead > queue->size) {
		break_queue(queue, "more chains than there can be");
		return VIRTQUEUE_BROKEN;
	}
	if (!take_chain(queue, chain))
		return VIRTQUEUE_BROKEN;
	queue->next_available++;
	queue->in_flight++;
	return VIRTQUEUE_CHAIN;
}

void virtqueue_unpop(struct virtqueue *queue)
{
	queue->next_available--;
	queue->in_flight--;
}

/* ---- giving back ---- */

void virtqueue_push(struct virtqueue *queue, u16 head, u32 written)
{
	u32 at = 4 + USED_ELEMENT_BYTES * (queue->next_used & (queue->size - 1u));

	check(queue->in_flight);
	ram_store_64(queue->host_device + at, head | (u64)written << 32);
	device_written(queue, at, USED_ELEMENT_BYTES);
	queue->next_used++;
	queue->in_flight--;
}

/* 2.7.10: the index that the driver waits for lies within what is new. */
static bool passes_event(u16 event, u16 now, u16 before)
{
	return (u16)(now - event - 1) < (u16)(now - before);
}

bool virtqueue_publish(struct virtqueue *queue)
{
	u16 now = queue->next_used, before = queue->signalled;
	bool must_signal = queue->must_signal;

	if (!queue->is_enabled || (now == before && !must_signal))
		return false;
	device_store_16(queue, 2, now);
	full_fence();
	queue->signalled = now;
	queue->must_signal = false;
	if (now == before)
		return false;
	if (!queue->has_event_index)
		return !(ram_load_16(queue->host_driver) & AVAILABLE_NO_INTERRUPT);
	return must_signal ||
		passes_event(
			ram_load_16(queue->host_driver + 4 + 2 * (u32)queue->size), now, before);
}

/* 2.7.7.2: the driver notifies when its index passes this. */
static void store_available_event(struct virtqueue *queue, u16 index)
{
	if (!queue->has_event_index)
		return;
	device_store_16(queue, 4 + USED_ELEMENT_BYTES * (u32)queue->size, index);
	full_fence();
}

bool virtqueue_rearm(struct virtqueue *queue)
{
	if (!queue->is_enabled || queue->is_broken)
		return false;
	store_available_event(queue, queue->next_available);
	return queue->in_flight < queue->size && available_index(queue) != queue->next_available;
}

bool virtqueue_rearm_for_more(struct virtqueue *queue)
{
	if (!queue->is_enabled || queue->is_broken)
		return false;
	u16 seen = available_index(queue);
	store_available_event(queue, seen);
	return available_index(queue) != seen;
}

/* ---- bytes ---- */

typedef void copy_piece(const struct virtqueue *queue, u8 *host, u8 *other, u64 bytes);

static void copy_out(const struct virtqueue *queue, u8 *host, u8 *other, u64 bytes)
{
	memcpy(other, host, bytes);
}

static void copy_in(const struct virtqueue *queue, u8 *host, u8 *other, u64 bytes)
{
	memcpy(host, other, bytes);
	memory_written(queue->machine, (u64)(host - queue->machine->memory.host), bytes);
}

static void walk(const struct virtqueue *queue, const struct virtqueue_buffer *buffer, u64 skip,
	u8 *other, u64 bytes, copy_piece *copy)
{
	for (; bytes; buffer++) {
		if (skip >= buffer->bytes) {
			skip -= buffer->bytes;
			continue;
		}
		u64 piece = MIN(buffer->bytes - skip, bytes);
		copy(queue, buffer->host + skip, other, piece);
		other += piece;
		bytes -= piece;
		skip = 0;
	}
}

bool virtqueue_read(const struct virtqueue_chain *chain, u64 skip, void *to, u64 bytes)
{
	if (skip > chain->readable_bytes || bytes > chain->readable_bytes - skip)
		return false;
	walk(NULL, chain->buffers, skip, to, bytes, copy_out);
	return true;
}

bool virtqueue_write(const struct virtqueue *queue, const struct virtqueue_chain *chain, u64 skip,
	const void *from, u64 bytes)
{
	if (skip > chain->writable_bytes || bytes > chain->writable_bytes - skip)
		return false;
	walk(queue, chain->buffers + chain->readable, skip, (u8 *)from, bytes, copy_in);
	return true;
}

/* ---- state ---- */

static bool queue_loaded(void *object)
{
	struct virtqueue *queue = object;

	queue->host_descriptors = queue->host_driver = queue->host_device = NULL;
	if (queue->in_flight > (queue->is_enabled ? queue->size : 0))
		return false;
	return !queue->is_enabled || resolve(queue);
}

static const struct state_field queue_fields[] = {
	STATE_UINT(struct virtqueue, size),
	STATE_UINT(struct virtqueue, vector),
	STATE_FLAG(struct virtqueue, is_enabled),
	STATE_UINT(struct virtqueue, descriptors),
	STATE_UINT(struct virtqueue, driver),
	STATE_UINT(struct virtqueue, device),
	STATE_UINT(struct virtqueue, next_available),
	STATE_UINT(struct virtqueue, next_used),
	STATE_UINT(struct virtqueue, signalled),
	STATE_UINT(struct virtqueue, in_flight),
	STATE_FLAG(struct virtqueue, has_event_index),
	STATE_FLAG(struct virtqueue, has_indirect),
	STATE_FLAG(struct virtqueue, is_broken),
	STATE_FLAG(struct virtqueue, must_signal),
};
static const struct state_table queue_state =
	STATE_TABLE("virtqueue", 1, queue_fields, queue_loaded);

void virtqueue_init(struct virtqueue *queue, struct machine *machine, const char *name,
	unsigned index, u16 size_max)
{
	struct text text;

	check(size_max && size_max <= VIRTQUEUE_SIZE_MAX && !(size_max & (size_max - 1)));
	memset(queue, 0, sizeof(*queue));
	queue->machine = machine;
	queue->size_max = size_max;
	virtqueue_reset(queue);
	text_init(&text, queue->state_name, sizeof(queue->state_name));
	text_format(&text, "%s.queue%u", name, index);
	state_register(machine, &queue->state, queue->state_name, &queue_state, queue);
}
