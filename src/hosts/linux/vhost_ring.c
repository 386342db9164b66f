/* SPDX-License-Identifier: MIT */
#include "hosts/linux/vhost_ring.h"

#include <string.h>

enum { FLAG_NEXT = 1, FLAG_WRITE = 2 };
#define USED_NO_NOTIFY 1

struct descriptor {
	u64 address;
	u32 bytes;
	u16 flags, next;
};

static u16 load_16(const u8 *at)
{
	return __atomic_load_n((const u16 *)at, __ATOMIC_ACQUIRE);
}

void vhost_ring_init(struct vhost_ring *ring, u8 *memory)
{
	ring->memory = memory;
	ring->free_count = VHOST_RING_SIZE;
	for (unsigned i = 0; i < VHOST_RING_SIZE; i++)
		ring->slots[i].next = (u16)((i + 1) % VHOST_RING_SIZE);
}

static void store_descriptor(struct vhost_ring *ring, u16 index)
{
	const struct vhost_slot *slot = &ring->slots[index];
	struct descriptor descriptor = {.address = slot->buffer.offset,
		.bytes = slot->buffer.bytes,
		.flags = (u16)((slot->has_next ? FLAG_NEXT : 0) |
			(slot->buffer.is_writable ? FLAG_WRITE : 0)),
		.next = slot->next};

	memcpy(ring->memory + index * sizeof(descriptor), &descriptor, sizeof(descriptor));
}

static void make_available(struct vhost_ring *ring, u16 head)
{
	u8 *available = ring->memory + VHOST_RING_AVAILABLE;

	memcpy(available + 4 + 2 * (ring->next_available % VHOST_RING_SIZE), &head, 2);
	ring->next_available++;
	__atomic_store_n((u16 *)(available + 2), ring->next_available, __ATOMIC_RELEASE);
}

bool vhost_ring_submit(
	struct vhost_ring *ring, u16 token, const struct vhost_buffer *buffers, unsigned count)
{
	u16 head = ring->free, index = head;

	if (!count || count > ring->free_count)
		return false;
	for (unsigned i = 0; i < count; i++) {
		struct vhost_slot *slot = &ring->slots[index];

		slot->buffer = buffers[i];
		slot->token = token;
		slot->is_head = !i;
		slot->has_next = i + 1 < count;
		store_descriptor(ring, index);
		index = slot->next;
	}
	ring->free = index;
	ring->free_count -= (u16)count;
	make_available(ring, head);
	return true;
}

bool vhost_ring_wants_kick(const struct vhost_ring *ring)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !(load_16(ring->memory + VHOST_RING_USED) & USED_NO_NOTIFY);
}

static u64 writable_bytes(const struct vhost_ring *ring, u16 head)
{
	u64 bytes = 0;

	for (u16 index = head;; index = ring->slots[index].next) {
		const struct vhost_slot *slot = &ring->slots[index];

		bytes += slot->buffer.is_writable ? slot->buffer.bytes : 0;
		if (!slot->has_next)
			return bytes;
	}
}

enum vhost_ring_result vhost_ring_take(struct vhost_ring *ring, u16 *head, u32 *written)
{
	const u8 *used = ring->memory + VHOST_RING_USED;
	u32 element[2];

	if (load_16(used + 2) == ring->next_used)
		return VHOST_RING_EMPTY;
	memcpy(element, used + 4 + 8 * (ring->next_used % VHOST_RING_SIZE), sizeof(element));
	if (element[0] >= VHOST_RING_SIZE || !ring->slots[element[0]].is_head)
		return VHOST_RING_BROKEN;
	ring->next_used++;
	*head = (u16)element[0];
	*written = (u32)MIN(element[1], writable_bytes(ring, *head));
	return VHOST_RING_DONE;
}

void vhost_ring_release(struct vhost_ring *ring, u16 head)
{
	u16 last = head, count = 1;

	ring->slots[head].is_head = false;
	for (; ring->slots[last].has_next; count++)
		last = ring->slots[last].next;
	ring->slots[last].next = ring->free;
	ring->free = head;
	ring->free_count += count;
}
