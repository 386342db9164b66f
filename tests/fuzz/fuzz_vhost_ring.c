/* SPDX-License-Identifier: MIT */
/*
 * A ring that is shared with another process, which writes into it what it likes: what is submitted is done at most once, nothing else is taken
 * for an answer, and descriptors are neither lost nor given twice. A step is four bytes.
 */
#include <string.h>

#include "hosts/linux/vhost_ring.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct vhost_ring ring;
static u8 memory[VHOST_RING_BYTES] __attribute__((aligned(4096)));
static bool is_in_flight[65536];
static unsigned descriptors_in_flight;
static u16 last_token;

static void require(bool is_so)
{
	if (!is_so)
		__builtin_trap();
}

static void submit(unsigned count)
{
	struct vhost_buffer buffers[64];

	for (unsigned i = 0; i < count; i++)
		buffers[i] = (struct vhost_buffer){i * 4096, 4096, i & 1};
	if (vhost_ring_submit(&ring, (u16)(last_token + 1), buffers, count)) {
		require(!is_in_flight[++last_token] && count);
		is_in_flight[last_token] = true;
		descriptors_in_flight += count;
	} else {
		require(!count || descriptors_in_flight + count > VHOST_RING_SIZE);
	}
}

static void take(void)
{
	unsigned free = ring.free_count;
	u32 written;
	u16 head, token;

	if (vhost_ring_take(&ring, &head, &written) != VHOST_RING_DONE)
		return;
	token = ring.slots[head].token;
	require(is_in_flight[token] && written <= 64 * 4096);
	is_in_flight[token] = false;
	vhost_ring_release(&ring, head);
	descriptors_in_flight -= ring.free_count - free;
	require(descriptors_in_flight + ring.free_count == VHOST_RING_SIZE);
}

/* An answer as it should be, or any two bytes anywhere. */
static void answer(u16 head, u8 bytes)
{
	u16 at;

	memcpy(&at, memory + VHOST_RING_USED + 2, 2);
	memcpy(memory + VHOST_RING_USED + 4 + 8 * (at % VHOST_RING_SIZE), &(u32[2]){head, bytes},
		8);
	at++;
	memcpy(memory + VHOST_RING_USED + 2, &at, 2);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	memset(&ring, 0, sizeof(ring));
	memset(memory, 0, sizeof(memory));
	memset(is_in_flight, 0, sizeof(is_in_flight));
	descriptors_in_flight = last_token = 0;
	vhost_ring_init(&ring, memory);
	for (; size >= 4; data += 4, size -= 4) {
		u16 value = (u16)(data[1] | data[2] << 8);

		switch (data[0] % 4) {
		case 0:
			submit(data[1] % 64);
			break;
		case 1:
			answer(value, data[3]);
			break;
		case 2:
			take();
			break;
		case 3:
			memory[(value << 1 | data[3] >> 7) % VHOST_RING_BYTES] = data[3];
			break;
		}
	}
	return 0;
}
