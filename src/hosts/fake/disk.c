/* SPDX-License-Identifier: MIT */
#include "hosts/fake/disk.h"

#include <string.h>

static void copy(struct fake_disk *disk, const struct block_request *request)
{
	u8 *at = disk->content + request->offset;

	for (unsigned i = 0; i < request->segment_count; i++) {
		const struct block_segment *segment = &request->segments[i];

		if (request->operation == BLOCK_READ)
			memcpy(segment->host, at, segment->bytes);
		else
			memcpy(at, segment->host, segment->bytes);
		at += segment->bytes;
	}
}

static void execute(struct fake_disk *disk, const struct block_request *request)
{
	switch (request->operation) {
	case BLOCK_READ:
		disk->reads++;
		copy(disk, request);
		break;
	case BLOCK_WRITE:
		disk->writes++;
		copy(disk, request);
		break;
	case BLOCK_FLUSH:
		disk->flushes++;
		break;
	case BLOCK_DISCARD:
		disk->discards++;
		memset(disk->content + request->offset, 0xdd, request->bytes);
		break;
	case BLOCK_WRITE_ZEROES:
		disk->zeroes++;
		disk->may_unmap = request->may_unmap;
		memset(disk->content + request->offset, 0, request->bytes);
		break;
	}
}

static unsigned finish(struct fake_disk *disk, unsigned count)
{
	unsigned done = 0;

	while (done < count && !list_is_empty(&disk->begun)) {
		struct block_request *request =
			container_of(disk->begun.next, struct block_request, link);

		list_remove(&request->link);
		if (disk->outcome == STATUS_OK)
			execute(disk, request);
		request->done(request, disk->outcome);
		done++;
	}
	return done;
}

unsigned fake_disk_finish(struct fake_disk *disk, unsigned count)
{
	unsigned done = finish(disk, count);

	if (done)
		disk->backend.settle(disk->backend.device);
	return done;
}

static struct fake_disk *disk_of(struct block_backend *backend)
{
	return container_of(backend, struct fake_disk, backend);
}

static void disk_submit(struct block_backend *backend, struct block_request *request)
{
	list_append(&disk_of(backend)->submitted, &request->link);
}

static void disk_start(struct block_backend *backend)
{
	struct fake_disk *disk = disk_of(backend);

	list_for_each_safe (node, &disk->submitted) {
		list_remove(node);
		list_append(&disk->begun, node);
	}
	if (!disk->waits)
		fake_disk_finish(disk, ~0u);
}

static void disk_drain(struct block_backend *backend)
{
	while (fake_disk_finish(disk_of(backend), ~0u))
		;
}

const struct block_ops fake_disk_ops = {disk_submit, disk_start, disk_drain};

void fake_disk_init(struct fake_disk *disk, u8 *content, u64 bytes)
{
	*disk = (struct fake_disk){.content = content};
	disk->backend = (struct block_backend){.ops = &fake_disk_ops,
		.bytes = bytes,
		.can_discard = true,
		.can_write_zeroes = true};
	list_init(&disk->submitted);
	list_init(&disk->begun);
}
