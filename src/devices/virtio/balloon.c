/* SPDX-License-Identifier: MIT */
#include "devices/virtio/balloon.h"
#include "base/memory.h"
#include "core/trace.h"

#define FEATURE_STATS BIT(1)
#define FEATURE_DEFLATE_ON_OOM BIT(2)
#define FEATURE_REPORTING BIT(5)

/*
 * Free page reporting has number 4, says the specification; Linux leaves out the numbers of queues that were not agreed on, so
 * there it is 3, which would be hints' (not offered). Both are taken for it.
 */
enum balloon_queue {
	QUEUE_INFLATE,
	QUEUE_DEFLATE,
	QUEUE_STATISTICS,
	QUEUE_REPORTING_LINUX,
	QUEUE_REPORTING,
	QUEUES,
};

#define BALLOON_PAGE_SHIFT 12

/* ---- giving memory back ---- */

static void release(struct virtio_balloon *balloon, u64 gpa, u64 bytes)
{
	if (memory_release(balloon->virtio.device.machine, gpa, bytes))
		balloon->released_bytes += bytes;
	else
		trace("balloon: %lx is no page of RAM", gpa);
}

/* A list of page numbers; neighbours are released together. */
static void inflate(struct virtio_balloon *balloon)
{
	u64 start = 0, end = 0;
	u32 page;

	for (u64 at = 0; virtqueue_read(&balloon->chain, at, &page, sizeof(page)); at += 4) {
		u64 gpa = (u64)page << BALLOON_PAGE_SHIFT;

		if (gpa != end) {
			if (end != start)
				release(balloon, start, end - start);
			start = gpa;
		}
		end = gpa + ((u64)1 << BALLOON_PAGE_SHIFT);
	}
	if (end != start)
		release(balloon, start, end - start);
}

/* The free pages themselves are the buffers. */
static void take_report(struct virtio_balloon *balloon)
{
	const struct virtqueue_chain *chain = &balloon->chain;
	const struct memory *memory = &balloon->virtio.device.machine->memory;

	for (unsigned i = chain->readable; i < chain->readable + chain->writable; i++) {
		const struct virtqueue_buffer *buffer = &chain->buffers[i];
		u64 start = (u64)(buffer->host - memory->host);
		u64 first = align_up(start, 4096);
		u64 end = align_down(start + buffer->bytes, 4096);

		if (end > first)
			release(balloon, memory_gpa(memory, first), end - first);
	}
}

/* ---- statistics ---- */

struct statistic {
	u16 tag;
	u64 value;
} __attribute__((packed));

/* The driver keeps one chain with us; what it held last is in it. */
static void take_statistics(struct virtio_balloon *balloon, struct virtqueue *queue)
{
	struct statistic statistic;

	if (balloon->has_statistics_chain)
		virtqueue_push(queue, balloon->statistics_head, 0);
	balloon->has_statistics_chain = true;
	balloon->statistics_head = balloon->chain.head;
	for (u64 at = 0; virtqueue_read(&balloon->chain, at, &statistic, sizeof(statistic));
		at += sizeof(statistic)) {
		if (statistic.tag < BALLOON_STATISTICS)
			balloon->statistics[statistic.tag] = statistic.value;
	}
	if (balloon->told)
		balloon->told(balloon->told_context);
}

bool virtio_balloon_ask(struct virtio_balloon *balloon)
{
	struct virtqueue *queue = &balloon->virtio.queues[QUEUE_STATISTICS];

	if (!balloon->has_statistics_chain || !virtio_is_running(&balloon->virtio))
		return false;
	balloon->has_statistics_chain = false;
	virtqueue_push(queue, balloon->statistics_head, 0);
	virtio_publish(&balloon->virtio, queue);
	return true;
}

/* ---- the driver ---- */

static void take_chain(struct virtio_balloon *balloon, struct virtqueue *queue)
{
	switch (queue - balloon->virtio.queues) {
	case QUEUE_STATISTICS:
		take_statistics(balloon, queue);
		return;
	case QUEUE_INFLATE:
		inflate(balloon);
		break;
	case QUEUE_REPORTING_LINUX:
	case QUEUE_REPORTING:
		if (virtio_has(&balloon->virtio, FEATURE_REPORTING))
			take_report(balloon);
		break;
	}
	virtqueue_push(queue, balloon->chain.head, 0);
}

static void balloon_kick(struct virtio *virtio, struct virtqueue *queue)
{
	struct virtio_balloon *balloon = container_of(virtio, struct virtio_balloon, virtio);

	do {
		while (virtio_pop(virtio, queue, &balloon->chain))
			take_chain(balloon, queue);
	} while (virtio_is_running(virtio) && virtqueue_rearm(queue));
	virtio_publish(virtio, queue);
}

static void balloon_config_write(struct virtio *virtio, unsigned at, unsigned size, u32 value)
{
	struct virtio_balloon *balloon = container_of(virtio, struct virtio_balloon, virtio);

	if (at == offsetof(struct virtio_balloon_config, actual_pages) && size == 4)
		balloon->config.actual_pages = value;
}

void virtio_balloon_set_target(struct virtio_balloon *balloon, u32 pages)
{
	balloon->config.target_pages = pages;
	virtio_config_changed(&balloon->virtio);
}

/* ---- life ---- */

static void forget_statistics(struct virtio_balloon *balloon)
{
	balloon->has_statistics_chain = false;
	balloon->statistics_head = 0;
	memset(balloon->statistics, 0xff, sizeof(balloon->statistics));
}

/* What the host wants stays, whatever the driver. */
static void balloon_reset(struct virtio *virtio)
{
	struct virtio_balloon *balloon = container_of(virtio, struct virtio_balloon, virtio);

	balloon->config.actual_pages = 0;
	forget_statistics(balloon);
}

static bool balloon_loaded(void *object)
{
	struct virtio_balloon *balloon = object;

	return !balloon->has_statistics_chain || balloon->virtio.queues[QUEUE_STATISTICS].in_flight;
}

static const struct state_field balloon_fields[] = {
	STATE_UINT(struct virtio_balloon, config.target_pages),
	STATE_UINT(struct virtio_balloon, config.actual_pages),
	STATE_ARRAY(struct virtio_balloon, statistics),
	STATE_UINT(struct virtio_balloon, statistics_head),
	STATE_FLAG(struct virtio_balloon, has_statistics_chain),
	STATE_UINT(struct virtio_balloon, released_bytes),
};
static const struct state_table balloon_state =
	STATE_TABLE("virtio-balloon", 1, balloon_fields, balloon_loaded);

static const struct virtio_ops balloon_ops = {
	.kind = "virtio-balloon",
	.type = VIRTIO_BALLOON,
	.class_code = 0x00ff00, /* of no class that PCI knows */
	.kick = balloon_kick,
	.reset = balloon_reset,
	.config_write = balloon_config_write,
	.state = &balloon_state,
};

enum status virtio_balloon_init(struct virtio_balloon *balloon, struct virtio_parameters *common)
{
	forget_statistics(balloon);
	common->queue_count = QUEUES;
	common->queue_size = 128;
	common->features = FEATURE_STATS | FEATURE_DEFLATE_ON_OOM | FEATURE_REPORTING;
	common->config = &balloon->config;
	common->config_bytes = sizeof(balloon->config);
	common->object = balloon;
	return virtio_init(&balloon->virtio, &balloon_ops, common);
}

void virtio_balloon_fini(struct virtio_balloon *balloon)
{
	virtio_fini(&balloon->virtio);
}
