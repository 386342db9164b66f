/* SPDX-License-Identifier: MIT */
#include "devices/virtio/console.h"
#include "base/memory.h"

enum console_queue { QUEUE_RECEIVE, QUEUE_TRANSMIT, QUEUES };
#define PIECE_BYTES 512

/* Hands the chain's bytes on from console->sent; false: the place has no room for the rest. */
static bool send_chain(struct virtio_console *console)
{
	u8 piece[PIECE_BYTES];

	while (console->sent < console->chain.readable_bytes) {
		u64 bytes = MIN(console->chain.readable_bytes - console->sent, PIECE_BYTES);

		if (!virtqueue_read(&console->chain, console->sent, piece, bytes))
			break;
		u64 taken = console->backend.write
			? console->backend.write(console->backend.context, piece, bytes)
			: bytes;
		console->sent += taken;
		if (taken < bytes)
			return false;
	}
	console->sent = 0;
	return true;
}

/* A chain that is not sent whole stays in the ring, so that a saved machine has it. */
static void transmit(struct virtio_console *console)
{
	struct virtio *virtio = &console->virtio;
	struct virtqueue *queue = &virtio->queues[QUEUE_TRANSMIT];

	do {
		while (virtio_pop(virtio, queue, &console->chain)) {
			if (!send_chain(console)) {
				virtqueue_unpop(queue);
				virtio_publish(virtio, queue);
				return;
			}
			virtqueue_push(queue, console->chain.head, 0);
		}
	} while (virtio_is_running(virtio) && virtqueue_rearm(queue));
	virtio_publish(virtio, queue);
}

static void console_kick(struct virtio *virtio, struct virtqueue *queue)
{
	struct virtio_console *console = container_of(virtio, struct virtio_console, virtio);

	if (queue == &virtio->queues[QUEUE_TRANSMIT])
		transmit(console);
	else if (console->backend.resume_input)
		console->backend.resume_input(console->backend.context);
}

/* ---- for the place ---- */

static size_t console_receive(void *device, const u8 *from, size_t bytes)
{
	struct virtio_console *console = device;
	struct virtio *virtio = &console->virtio;
	struct virtqueue *queue = &virtio->queues[QUEUE_RECEIVE];
	size_t done = 0;

	while (done < bytes) {
		if (!virtio_pop(virtio, queue, &console->chain)) {
			if (virtio_is_running(virtio) && virtqueue_rearm(queue))
				continue;
			break;
		}
		u64 piece = MIN(bytes - done, console->chain.writable_bytes);
		if (!virtqueue_write(queue, &console->chain, 0, from + done, piece))
			piece = 0;
		virtqueue_push(queue, console->chain.head, (u32)piece);
		done += piece;
	}
	virtio_publish(virtio, queue);
	return done;
}

static void console_writable(void *device)
{
	transmit(device);
}

struct console_device virtio_console_device(struct virtio_console *console)
{
	return (struct console_device){console_receive, console_writable, console};
}

/* ---- life ---- */

static void console_reset(struct virtio *virtio)
{
	container_of(virtio, struct virtio_console, virtio)->sent = 0;
}

static const struct state_field console_fields[] = {
	STATE_UINT(struct virtio_console, sent),
};
static const struct state_table console_state =
	STATE_TABLE("virtio-console", 1, console_fields, NULL);

static const struct virtio_ops console_ops = {
	.kind = "virtio-console",
	.type = VIRTIO_CONSOLE,
	.class_code = 0x078000, /* communication, of no kind that PCI knows */
	.kick = console_kick,
	.reset = console_reset,
	.state = &console_state,
};

enum status virtio_console_init(struct virtio_console *console, struct virtio_parameters *common,
	const struct console_backend *backend)
{
	console->backend = *backend;
	console->config.ports = 1;
	common->queue_count = QUEUES;
	common->queue_size = 128;
	common->features = 0;
	common->config = &console->config;
	common->config_bytes = sizeof(console->config);
	common->object = console;
	return virtio_init(&console->virtio, &console_ops, common);
}

void virtio_console_fini(struct virtio_console *console)
{
	virtio_fini(&console->virtio);
}
