/* SPDX-License-Identifier: MIT */
/*
 * virtio's queues and devices, by a driver that does what drivers do, and then something else. The input's first byte says which device
 * and which features; then eight bytes a step. Whatever was done, a reset makes the disk work again.
 */
#include <string.h>

#include "base/bits.h"
#include "boards/pc.h"
#include "devices/virtio/virtio.h"
#include "tests/hostile/hostile.h"

#define STEP_BYTES 8
#define QUEUES 4
#define QUEUE_SIZE 8
/* A page a queue: descriptors, available ring, used ring. Then indirect tables, and data. */
#define RINGS ((u64)0x10000)
#define RING_DRIVER 0x400
#define RING_DEVICE 0x800
#define INDIRECT ((u64)0x18000)
#define DATA ((u64)0x20000)

enum { COMMON, ISR, DEVICE, NOTIFY, MSIX }; /* pages of BAR 0 */
enum { NEXT = 1, WRITE = 2 };

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct hostile machines[2]; /* one with a virtio console */
static struct hostile *hostile;
static u64 bar;
static u16 available[QUEUES];

struct step {
	u8 kind, queue;
	u16 where;
	u32 value;
};

static const struct {
	unsigned slot;
	bool needs_console;
} devices[] = {{PC_SLOT_ENTROPY, false}, {PC_SLOT_BALLOON, false}, {PC_SLOT_NETS, false},
	{PC_SLOT_DISKS, false}, {PC_SLOT_CONSOLE, true}, {PC_SLOT_VSOCK, false},
	{PC_SLOT_SHARE, false}};

/* ---- what a driver does ---- */

static u64 access(u64 address, unsigned size, bool is_write, u64 value)
{
	struct bus_access access = {.space = BUS_MEMORY,
		.is_write = is_write,
		.size = (u8)size,
		.address = address,
		.value = value,
		.vcpu = hostile->machine.vcpus[0]};

	bus_dispatch(&hostile->machine, &access);
	return access.value;
}

static void put(unsigned page, unsigned at, unsigned size, u64 value)
{
	access(bar + (page << 12) + at, size, true, value);
}

static void poke(u64 gpa, u64 value, unsigned bytes)
{
	memcpy(hostile->machine.memory.host + gpa, &value, bytes);
}

static void set_up_queue(unsigned queue)
{
	u64 ring = RINGS + queue * PAGE_SIZE;

	put(COMMON, 0x16, 2, queue);
	put(COMMON, 0x18, 2, QUEUE_SIZE);
	put(COMMON, 0x1a, 2, 1);
	put(COMMON, 0x20, 8, ring);
	put(COMMON, 0x28, 8, ring + RING_DRIVER);
	put(COMMON, 0x30, 8, ring + RING_DEVICE);
	put(COMMON, 0x1c, 2, 1);
	available[queue] = 0;
}

static void start(u64 features)
{
	memset(hostile->machine.memory.host + RINGS, 0, DATA - RINGS);
	put(COMMON, 0x14, 1, 0);
	put(COMMON, 0x14, 1, 3);
	for (unsigned i = 0; i < 2; i++) {
		put(COMMON, 0, 4, i);
		u64 offered = access(bar + 4, 4, false, 0);
		put(COMMON, 8, 4, i);
		put(COMMON, 12, 4, offered & (i ? ~0u : (u32)features));
	}
	put(COMMON, 0x14, 1, 11);
	for (unsigned i = 0; i < QUEUES; i++)
		set_up_queue(i);
	put(COMMON, 0x14, 1, 15);
}

static void use_device(unsigned index)
{
	unsigned slot = devices[index].slot;

	bar = access(PC_PCI_ECAM + slot * 0x8000 + 0x10, 4, false, 0) & ~(u64)15;
}

static void give(unsigned queue, u16 head)
{
	u64 ring = RINGS + queue * PAGE_SIZE + RING_DRIVER;

	poke(ring + 4 + 2 * (available[queue] % QUEUE_SIZE), head, 2);
	poke(ring + 2, ++available[queue], 2);
	put(NOTIFY, 4 * queue, 2, queue);
}

static void put_descriptor(u64 table, unsigned index, u64 address, u64 rest)
{
	poke(table + 16 * index, address, 8);
	poke(table + 16 * index + 8, rest, 8);
}

/* ---- steps ---- */

static u64 some_address(u32 value)
{
	static const u64 places[] = {DATA, DATA, DATA, DATA + PAGE_SIZE, INDIRECT, RINGS,
		HOSTILE_RAM_BYTES - 64, ~(u64)0 - 64};

	return places[value % 8] + (value >> 3) % 128;
}

static void write_descriptor(const struct step *step)
{
	static const u32 lengths[] = {0, 1, 12, 16, 32, 512, 4096, 0xffffffff};
	bool is_indirect = step->queue & 0x80;
	u64 flags = (step->where >> 6) & 7, next = (step->where >> 9) & 15;

	put_descriptor(is_indirect ? INDIRECT : RINGS + step->queue % QUEUES * PAGE_SIZE,
		step->where & 7, some_address(step->value),
		lengths[(step->where >> 3) & 7] | flags << 32 | next << 48);
}

/* A whole request of a disk, as Linux cuts it. */
static void ask_disk(const struct step *step)
{
	poke(DATA, step->where % 16, 8);
	poke(DATA + 8, step->value, 8);
	put_descriptor(RINGS, 0, DATA, 16 | (u64)NEXT << 32 | (u64)1 << 48);
	put_descriptor(RINGS, 1, DATA + 512,
		512 * (step->queue % 4) | (u64)(NEXT | (step->where & 16 ? WRITE : 0)) << 32 |
			(u64)2 << 48);
	put_descriptor(RINGS, 2, DATA + 64, 1 | (u64)WRITE << 32);
	give(0, 0);
}

/* A packet of a socket's with an operation and a port, so that many belong to some connection. */
static void send_packet(const struct step *step)
{
	u32 bytes = step->value >> 16 & 0x1ff;

	poke(DATA, 3, 8);
	poke(DATA + 8, 2, 8);
	poke(DATA + 16, step->queue >> 4 & 1, 4);
	poke(DATA + 20, step->queue >> 5 & 1, 4);
	poke(DATA + 24, bytes << (step->where >> 6 & 8), 4);
	poke(DATA + 28, 1 | (u64)(step->queue & 15) << 16, 4);
	poke(DATA + 32, step->where & 3, 4);
	poke(DATA + 36, step->value & 0xffff, 8);
	put_descriptor(RINGS + PAGE_SIZE, 0, DATA, 44 + bytes);
	give(1, 0);
}

/* The other ends of sockets. */
static void use_sockets(const struct step *step)
{
	struct vsock_device *device = &hostile->vsock.device;
	unsigned connection = step->queue % 4;
	struct fake_vsock_end *end = &hostile->vsock.ends[connection];

	hostile->vsock.refuses = step->value & 1;
	end->input_bytes = step->value >> 8 & 0x3fff;
	end->has_ended = step->value & 2;
	end->is_deaf = step->value & 4;
	end->room = step->value >> 22;
	switch (step->where % 4) {
	case 0:
		device->request(device->device, step->queue & 1);
		break;
	case 1:
		device->opened(device->device, connection);
		break;
	case 2:
		device->refused(device->device, connection);
		break;
	case 3:
		device->ready(device->device, connection, step->value >> 4 & 7);
		break;
	}
}

static void use_backends(const struct step *step)
{
	struct net_device *net = &hostile->net.device;
	static const struct net_offload whole;
	static u8 frame[4096];

	switch (step->where % 8) {
	case 0:
		hostile->disk.waits = step->value & 1;
		hostile->disk.outcome = step->value & 2 ? STATUS_IO : STATUS_OK;
		break;
	case 1:
		fake_disk_finish(&hostile->disk, step->value % 4);
		break;
	case 2:
		hostile->net.has_no_room = step->value & 1;
		net->writable(net->device);
		break;
	case 3:
		if (net->receive(net->device, &whole, frame, step->value % sizeof(frame)))
			hostile->net.resumed++;
		break;
	case 4:
		net->set_link(net->device, step->value & 1);
		break;
	case 5:
		hostile->console.writable(hostile->console.device);
		hostile->console.receive(
			hostile->console.device, (const u8 *)&step->value, step->queue % 4);
		break;
	case 6:
		use_sockets(step);
		break;
	case 7:
		hostile->vhost.has_no_room = step->value & 1;
		if (step->value % 64 == 62)
			fake_vhost_lose(&hostile->vhost);
		fake_vhost_finish(&hostile->vhost, step->value >> 8);
		break;
	}
}

static void take(const struct step *step)
{
	unsigned size = 1u << (step->queue & 3);

	switch (step->kind % 18) {
	case 0 ... 3:
		write_descriptor(step);
		break;
	case 4 ... 6:
		give(step->queue % QUEUES, step->where % (QUEUE_SIZE + 1));
		break;
	case 7:
		ask_disk(step);
		break;
	case 8:
		put(COMMON, step->where % 0x3c, size, step->value);
		break;
	case 9:
		access(bar + step->where % 0x6100, size, step->value & 1, step->value);
		break;
	case 10:
		poke(RINGS + step->where % 0x8000, step->value, 4);
		break;
	case 11 ... 12:
		poke(DATA + step->where % 1024, step->value, size & 7);
		break;
	case 13:
		use_backends(step);
		break;
	case 14:
		start(step->value);
		break;
	case 15:
		send_packet(step);
		break;
	case 16:
		use_sockets(step);
		break;
	default:
		if (step->where & 3)
			hostile_save_and_load(hostile);
		else
			hostile->machine.reset(&hostile->machine);
	}
}

static void disk_must_work(void)
{
	struct step read = {.where = 16, .queue = 1};

	hostile->disk.waits = false;
	hostile->disk.outcome = STATUS_OK;
	hostile->machine.reset(&hostile->machine);
	access(PC_PCI_ECAM + PC_SLOT_DISKS * 0x8000 + 4, 2, true, 6);
	use_device(3);
	start(0);
	poke(DATA + 64, 0xee, 1);
	ask_disk(&read);
	if (hostile->machine.memory.host[DATA + 64] != 0)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct step step;
	unsigned device;

	_Static_assert(sizeof(step) == STEP_BYTES, "a step is packed");
	if (!machines[0].machine.vcpu_count) {
		hostile_create(&machines[0]);
		hostile_create_with_console(&machines[1]);
	}
	if (!size)
		return 0;
	device = (data[0] & 15) % ARRAY_SIZE(devices);
	hostile = &machines[devices[device].needs_console];
	hostile_restore(hostile, false);
	use_device(device);
	start(data[0] & 0x80 ? ~(u64)0 : data[0] & 0x40 ? VIRTIO_F_EVENT_IDX : 0);
	for (data++, size--; size >= STEP_BYTES; data += STEP_BYTES, size -= STEP_BYTES) {
		memcpy(&step, data, STEP_BYTES);
		take(&step);
	}
	hostile_save_and_load(hostile);
	disk_must_work();
	return 0;
}
