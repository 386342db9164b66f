/* SPDX-License-Identifier: MIT */
#include "devices/virtio/block.h"
#include "base/atomic.h"
#include "base/memory.h"
#include "core/trace.h"

/* 5.2.3 */
#define FEATURE_SEG_MAX BIT(2)
#define FEATURE_RO BIT(5)
#define FEATURE_BLK_SIZE BIT(6)
#define FEATURE_FLUSH BIT(9)
#define FEATURE_MQ BIT(12)
#define FEATURE_DISCARD BIT(13)
#define FEATURE_WRITE_ZEROES BIT(14)

/* 5.2.6 */
enum request_type {
	REQUEST_IN = 0,
	REQUEST_OUT = 1,
	REQUEST_FLUSH = 4,
	REQUEST_GET_ID = 8,
	REQUEST_DISCARD = 11,
	REQUEST_WRITE_ZEROES = 13,
};
enum request_status { REQUEST_OK = 0, REQUEST_IOERR = 1, REQUEST_UNSUPPORTED = 2, REQUEST_PENDING };

#define ZEROES_UNMAP 1u
#define RANGE_SECTORS_MAX ((u32)1 << 22) /* 2 GiB at a time */
/* What is in flight at once, for all queues together: more would only wait in the host. */
#define REQUESTS_MAX 512

struct request_header {
	u32 type, priority;
	u64 sector;
};

struct request_range {
	u64 sector;
	u32 sectors, flags;
};

static unsigned queue_index(const struct virtio_block *disk, const struct virtqueue *queue)
{
	return (unsigned)(queue - disk->virtio.queues);
}

static void mark(u64 set[2], unsigned index)
{
	set[index / 64] |= BIT(index % 64);
}

static bool take_mark(u64 set[2], unsigned index)
{
	bool is_marked = set[index / 64] & BIT(index % 64);

	set[index / 64] &= ~BIT(index % 64);
	return is_marked;
}

/* ---- the end of a request ---- */

/* Guest RAM that the backend has filled is written memory like any other. */
static void tell_written(const struct virtio_block_request *request)
{
	struct machine *machine = request->disk->virtio.device.machine;

	if (!request->data_written)
		return;
	for (unsigned i = 0; i < request->request.segment_count; i++)
		memory_written(machine, (u64)(request->segments[i].host - machine->memory.host),
			request->segments[i].bytes);
}

static void store_status(struct virtio_block_request *request, enum request_status status)
{
	struct machine *machine = request->disk->virtio.device.machine;

	ram_store_8(request->status, (u8)status);
	memory_written(machine, (u64)(request->status - machine->memory.host), 1);
}

/* Gives the chain back; the driver hears of it when the group ends. */
static void finish(struct virtio_block_request *request, enum request_status status)
{
	struct virtio_block *disk = request->disk;

	if (!disk->virtio.is_resetting) {
		store_status(request, status);
		virtqueue_push(request->queue, request->head, request->data_written + 1);
		mark(disk->unpublished, queue_index(disk, request->queue));
	}
	list_insert_before(disk->free_requests.next, &request->link);
}

static void submit(struct virtio_block_request *request)
{
	struct block_backend *backend = request->disk->backend;

	virtio_begin(&request->disk->virtio);
	backend->ops->submit(backend, &request->request);
}

static void count(struct virtio_block *disk, const struct block_request *block)
{
	if (block->operation == BLOCK_READ) {
		disk->reads++;
		disk->read_bytes += block->bytes;
	} else if (block->operation == BLOCK_WRITE) {
		disk->writes++;
		disk->written_bytes += block->bytes;
	}
}

static void request_done(struct block_request *block, enum status status)
{
	struct virtio_block_request *request =
		container_of(block, struct virtio_block_request, request);
	struct virtio_block *disk = request->disk;

	if (status == STATUS_OK)
		count(disk, block);
	if (status == STATUS_OK && request->must_flush) {
		request->must_flush = false;
		block->operation = BLOCK_FLUSH;
		block->offset = block->bytes = 0;
		submit(request);
		disk->backend->ops->start(disk->backend);
	} else {
		tell_written(request);
		finish(request,
			status == STATUS_OK		       ? REQUEST_OK
				: status == STATUS_UNSUPPORTED ? REQUEST_UNSUPPORTED
							       : REQUEST_IOERR);
	}
	virtio_end(&disk->virtio);
}

static void publish_all(struct virtio_block *disk)
{
	for (unsigned i = 0; i < disk->virtio.queue_count; i++) {
		if (take_mark(disk->unpublished, i))
			virtio_publish(&disk->virtio, &disk->virtio.queues[i]);
	}
}

/* ---- the beginning ---- */

/* The pieces of `bytes` bytes from the skip-th on; false: there are too many. */
static bool take_segments(struct virtio_block_request *request,
	const struct virtqueue_buffer *buffers, unsigned count, u64 skip, u64 bytes)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < count && bytes; i++) {
		u64 start = MIN(skip, buffers[i].bytes);
		u64 piece = MIN(buffers[i].bytes - start, bytes);

		skip -= start;
		bytes -= piece;
		if (!piece)
			continue;
		if (taken == VIRTIO_BLOCK_SEGMENTS_MAX)
			return false;
		request->segments[taken++] = (struct block_segment){buffers[i].host + start, piece};
	}
	request->request.segment_count = taken;
	return true;
}

static bool is_on_disk(const struct virtio_block *disk, u64 sector, u64 sectors)
{
	return sector <= disk->config.sectors && sectors <= disk->config.sectors - sector;
}

static enum request_status begin_transfer(
	struct virtio_block_request *request, const struct request_header *header, bool is_read)
{
	struct virtio_block *disk = request->disk;
	const struct virtqueue_chain *chain = &disk->chain;
	const struct virtqueue_buffer *buffers = chain->buffers;
	u64 bytes = is_read ? chain->writable_bytes - 1
			    : chain->readable_bytes - sizeof(struct request_header);
	bool fits;

	if (!is_read && disk->backend->is_read_only)
		return REQUEST_IOERR;
	if (!bytes || bytes % BLOCK_SECTOR_BYTES || bytes > 0x7fffffff ||
		!is_on_disk(disk, header->sector, bytes / BLOCK_SECTOR_BYTES))
		return REQUEST_IOERR;
	fits = is_read
		? take_segments(request, buffers + chain->readable, chain->writable, 0, bytes)
		: take_segments(
			  request, buffers, chain->readable, sizeof(struct request_header), bytes);
	if (!fits)
		return REQUEST_IOERR;
	request->request.operation = is_read ? BLOCK_READ : BLOCK_WRITE;
	request->request.offset = header->sector * BLOCK_SECTOR_BYTES;
	request->request.bytes = bytes;
	request->data_written = is_read ? (u32)bytes : 0;
	request->must_flush = !is_read && !virtio_has(&disk->virtio, FEATURE_FLUSH);
	return REQUEST_PENDING;
}

static enum request_status begin_flush(struct virtio_block_request *request)
{
	request->request.operation = BLOCK_FLUSH;
	request->request.offset = request->request.bytes = 0;
	return REQUEST_PENDING;
}

static enum request_status write_identity(struct virtio_block_request *request)
{
	struct virtio_block *disk = request->disk;
	u64 room = disk->chain.writable_bytes - 1;
	u64 bytes = MIN(room, sizeof(disk->serial));

	request->data_written = (u32)bytes;
	request->request.segment_count = 0;
	return virtqueue_write(request->queue, &disk->chain, 0, disk->serial, bytes)
		? REQUEST_OK
		: REQUEST_IOERR;
}

/* One range only: the configuration says so. */
static enum request_status begin_range(
	struct virtio_block_request *request, enum block_operation operation)
{
	struct virtio_block *disk = request->disk;
	bool is_zeroes = operation == BLOCK_WRITE_ZEROES;
	struct request_range range;

	if (!virtio_has(&disk->virtio, is_zeroes ? FEATURE_WRITE_ZEROES : FEATURE_DISCARD))
		return REQUEST_UNSUPPORTED;
	if (disk->chain.readable_bytes != sizeof(struct request_header) + sizeof(range) ||
		!virtqueue_read(&disk->chain, sizeof(struct request_header), &range, sizeof(range)))
		return REQUEST_IOERR;
	if (range.flags & (is_zeroes ? ~ZEROES_UNMAP : ~0u))
		return REQUEST_UNSUPPORTED;
	if (range.sectors > RANGE_SECTORS_MAX || !is_on_disk(disk, range.sector, range.sectors))
		return REQUEST_IOERR;
	if (!range.sectors)
		return REQUEST_OK;
	request->request.operation = operation;
	request->request.may_unmap = range.flags & ZEROES_UNMAP;
	request->request.offset = range.sector * BLOCK_SECTOR_BYTES;
	request->request.bytes = (u64)range.sectors * BLOCK_SECTOR_BYTES;
	return REQUEST_PENDING;
}

static enum request_status begin(
	struct virtio_block_request *request, const struct request_header *header)
{
	request->data_written = 0;
	request->must_flush = false;
	request->request.segments = request->segments;
	request->request.segment_count = 0;
	switch (header->type) {
	case REQUEST_IN:
		return begin_transfer(request, header, true);
	case REQUEST_OUT:
		return begin_transfer(request, header, false);
	case REQUEST_FLUSH:
		return begin_flush(request);
	case REQUEST_GET_ID:
		return write_identity(request);
	case REQUEST_DISCARD:
		return begin_range(request, BLOCK_DISCARD);
	case REQUEST_WRITE_ZEROES:
		return begin_range(request, BLOCK_WRITE_ZEROES);
	}
	return REQUEST_UNSUPPORTED;
}

/* The last writable byte: wherever the driver has cut its buffers. */
static u8 *status_place(const struct virtqueue_chain *chain)
{
	const struct virtqueue_buffer *buffer =
		&chain->buffers[chain->readable + chain->writable - 1];

	while (!buffer->bytes)
		buffer--;
	return buffer->host + buffer->bytes - 1;
}

static void take_request(struct virtio_block *disk, struct virtqueue *queue)
{
	struct virtio_block_request *request =
		container_of(disk->free_requests.next, struct virtio_block_request, link);
	struct request_header header;

	if (!disk->chain.writable_bytes ||
		!virtqueue_read(&disk->chain, 0, &header, sizeof(header))) {
		virtio_needs_reset(&disk->virtio, "a request without header or status");
		return;
	}
	list_remove(&request->link);
	request->queue = queue;
	request->head = disk->chain.head;
	request->status = status_place(&disk->chain);
	enum request_status status = begin(request, &header);
	if (status == REQUEST_PENDING)
		submit(request);
	else
		finish(request, status);
}

static void take_requests(struct virtio_block *disk, struct virtqueue *queue)
{
	while (!list_is_empty(&disk->free_requests)) {
		if (virtio_pop(&disk->virtio, queue, &disk->chain))
			take_request(disk, queue);
		else if (!virtio_is_running(&disk->virtio) || !virtqueue_rearm(queue))
			return;
	}
	mark(disk->starved, queue_index(disk, queue));
}

static void block_kick(struct virtio *virtio, struct virtqueue *queue)
{
	struct virtio_block *disk = container_of(virtio, struct virtio_block, virtio);

	disk->is_submitting = true;
	do {
		take_requests(disk, queue);
		disk->backend->ops->start(disk->backend);
	} while (!list_is_empty(&disk->free_requests) &&
		take_mark(disk->starved, queue_index(disk, queue)));
	disk->is_submitting = false;
	publish_all(disk);
}

/* Some requests have ended: whoever waited for room goes on. */
static void block_settle(void *device)
{
	struct virtio_block *disk = device;

	if (disk->is_submitting)
		return;
	publish_all(disk);
	for (unsigned i = 0; i < disk->virtio.queue_count; i++) {
		if (take_mark(disk->starved, i))
			block_kick(&disk->virtio, &disk->virtio.queues[i]);
	}
}

/* ---- life ---- */

static void block_reset(struct virtio *virtio)
{
	struct virtio_block *disk = container_of(virtio, struct virtio_block, virtio);

	memset(disk->unpublished, 0, sizeof(disk->unpublished));
	memset(disk->starved, 0, sizeof(disk->starved));
}

static const struct virtio_ops block_ops = {
	.kind = "virtio-block",
	.type = VIRTIO_BLOCK,
	.class_code = 0x018000, /* mass storage, of no kind that PCI knows */
	.kick = block_kick,
	.reset = block_reset,
};

static void fill_config(struct virtio_block *disk, unsigned queues)
{
	disk->config = (struct virtio_block_config){
		.sectors = disk->backend->bytes / BLOCK_SECTOR_BYTES,
		.segments_max = VIRTIO_BLOCK_SEGMENTS_MAX,
		.block_size = BLOCK_SECTOR_BYTES,
		.queues = (u16)queues,
		.discard_sectors_max = RANGE_SECTORS_MAX,
		.discard_segments_max = 1,
		.discard_alignment = 1,
		.zeroes_sectors_max = RANGE_SECTORS_MAX,
		.zeroes_segments_max = 1,
		.zeroes_may_unmap = disk->backend->can_discard,
	};
}

static u64 offered_features(const struct block_backend *backend)
{
	u64 features = FEATURE_SEG_MAX | FEATURE_BLK_SIZE | FEATURE_FLUSH | FEATURE_MQ;

	if (backend->is_read_only)
		return features | FEATURE_RO;
	if (backend->can_discard)
		features |= FEATURE_DISCARD;
	if (backend->can_write_zeroes)
		features |= FEATURE_WRITE_ZEROES;
	return features;
}

static enum status create_requests(struct virtio_block *disk, unsigned queues)
{
	disk->request_count = MIN(queues * VIRTIO_BLOCK_QUEUE_SIZE, REQUESTS_MAX);
	disk->requests = host_memory_get(disk->request_count * sizeof(*disk->requests));
	if (!disk->requests)
		return STATUS_NO_MEMORY;
	list_init(&disk->free_requests);
	for (unsigned i = 0; i < disk->request_count; i++) {
		struct virtio_block_request *request = &disk->requests[i];

		request->disk = disk;
		request->request.done = request_done;
		list_append(&disk->free_requests, &request->link);
	}
	return STATUS_OK;
}

enum status virtio_block_init(struct virtio_block *disk, struct virtio_parameters *common,
	const struct virtio_block_parameters *parameters)
{
	struct block_backend *backend = parameters->backend;
	size_t length = text_length(parameters->serial);

	disk->backend = backend;
	memcpy(disk->serial, parameters->serial, MIN(length, sizeof(disk->serial)));
	fill_config(disk, parameters->queues);
	common->queue_count = parameters->queues;
	common->queue_size = VIRTIO_BLOCK_QUEUE_SIZE;
	common->features = offered_features(backend);
	common->config = &disk->config;
	common->config_bytes = sizeof(disk->config);
	enum status status = create_requests(disk, parameters->queues);
	if (status == STATUS_OK)
		status = virtio_init(&disk->virtio, &block_ops, common);
	if (status != STATUS_OK) {
		virtio_block_fini(disk);
		return status;
	}
	backend->settle = block_settle;
	backend->device = disk;
	return STATUS_OK;
}

void virtio_block_fini(struct virtio_block *disk)
{
	if (disk->virtio.queues)
		virtio_fini(&disk->virtio);
	host_memory_put(disk->requests, disk->request_count * sizeof(*disk->requests));
	disk->requests = NULL;
}
