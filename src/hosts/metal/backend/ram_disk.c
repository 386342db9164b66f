/* SPDX-License-Identifier: MIT */
#include "hosts/metal/backend/ram_disk.h"

#include "base/atomic.h"
#include "base/memory.h"
#include "core/host.h"

/* Pages that a machine has cleared cost nothing; nobody writes this one. */
static u8 zero_page[RAM_DISK_PAGE_BYTES] __attribute__((aligned(RAM_DISK_PAGE_BYTES)));

static bool is_own(const u8 *page)
{
	return page && page != zero_page;
}

/* As much of the page as the file has, zeroes behind it. */
static void fill_from_content(const struct ram_disk *disk, u64 index, u8 *page)
{
	u64 at = index * RAM_DISK_PAGE_BYTES;

	memset(page, 0, RAM_DISK_PAGE_BYTES);
	if (at < disk->content_bytes)
		memcpy(page, disk->content + at,
			MIN(disk->content_bytes - at, RAM_DISK_PAGE_BYTES));
}

/* The machine's own page; NULL: there is no memory for it. */
static u8 *own_page(struct ram_disk *disk, u64 index)
{
	u8 *page = disk->pages[index];

	if (is_own(page))
		return page;
	if (disk->own_pages >= disk->own_pages_most)
		return NULL;
	page = host_memory_get(RAM_DISK_PAGE_BYTES);
	if (!page)
		return NULL;
	if (!disk->pages[index])
		fill_from_content(disk, index, page);
	disk->pages[index] = page;
	disk->own_pages++;
	return page;
}

static void forget_page(struct ram_disk *disk, u64 index, u8 *instead)
{
	if (is_own(disk->pages[index])) {
		host_memory_put(disk->pages[index], RAM_DISK_PAGE_BYTES);
		disk->own_pages--;
	}
	disk->pages[index] = instead;
}

/* A piece within one page. `to` is guest RAM. */
static void read_piece(const struct ram_disk *disk, u64 offset, u8 *to, u64 bytes)
{
	const u8 *page = disk->pages[offset / RAM_DISK_PAGE_BYTES];
	u64 there = 0;

	if (page) {
		ram_copy(to, page + offset % RAM_DISK_PAGE_BYTES, bytes);
		return;
	}
	if (offset < disk->content_bytes)
		there = MIN(disk->content_bytes - offset, bytes);
	ram_copy(to, disk->content + offset, there);
	ram_copy(to + there, zero_page, bytes - there);
}

static bool write_piece(struct ram_disk *disk, u64 offset, const u8 *from, u64 bytes)
{
	u8 *page = own_page(disk, offset / RAM_DISK_PAGE_BYTES);

	if (page)
		ram_copy(page + offset % RAM_DISK_PAGE_BYTES, from, bytes);
	return page;
}

/* Whole pages become the page of zeroes. */
static bool clear_piece(struct ram_disk *disk, u64 offset, u64 bytes)
{
	u64 index = offset / RAM_DISK_PAGE_BYTES;
	u8 *page;

	if (disk->pages[index] == zero_page)
		return true;
	if (bytes == RAM_DISK_PAGE_BYTES) {
		forget_page(disk, index, zero_page);
		return true;
	}
	page = own_page(disk, index);
	if (page)
		memset(page + offset % RAM_DISK_PAGE_BYTES, 0, bytes);
	return page;
}

static u64 piece_bytes(u64 offset, u64 left)
{
	return MIN(RAM_DISK_PAGE_BYTES - offset % RAM_DISK_PAGE_BYTES, left);
}

static bool transfer(struct ram_disk *disk, const struct block_request *request)
{
	u64 offset = request->offset;

	for (unsigned i = 0; i < request->segment_count; i++) {
		u8 *host = request->segments[i].host;

		for (u64 left = request->segments[i].bytes, piece; left;
			left -= piece, host += piece, offset += piece) {
			piece = piece_bytes(offset, left);
			if (request->operation == BLOCK_READ)
				read_piece(disk, offset, host, piece);
			else if (!write_piece(disk, offset, host, piece))
				return false;
		}
	}
	return true;
}

static bool clear(struct ram_disk *disk, u64 offset, u64 left)
{
	for (u64 piece; left; left -= piece, offset += piece) {
		piece = piece_bytes(offset, left);
		if (!clear_piece(disk, offset, piece))
			return false;
	}
	return true;
}

static bool execute(struct ram_disk *disk, const struct block_request *request)
{
	switch (request->operation) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		return transfer(disk, request);
	case BLOCK_DISCARD:
	case BLOCK_WRITE_ZEROES:
		return clear(disk, request->offset, request->bytes);
	case BLOCK_FLUSH:
		return true;
	}
	return false;
}

static struct ram_disk *disk_of(struct block_backend *backend)
{
	return container_of(backend, struct ram_disk, backend);
}

static void disk_submit(struct block_backend *backend, struct block_request *request)
{
	struct ram_disk *disk = disk_of(backend);

	disk->has_ended = true;
	request->done(request, execute(disk, request) ? STATUS_OK : STATUS_IO);
}

static void disk_start(struct block_backend *backend)
{
	struct ram_disk *disk = disk_of(backend);

	if (!disk->has_ended)
		return;
	disk->has_ended = false;
	backend->settle(backend->device);
}

/* Nothing is ever in flight. */
static void disk_drain(struct block_backend *backend)
{
	(void)backend;
}

static const struct block_ops ram_disk_ops = {disk_submit, disk_start, disk_drain};

enum status ram_disk_init(struct ram_disk *disk, const u8 *content, u64 content_bytes, u64 bytes,
	u64 own_bytes_most, bool is_read_only)
{
	u64 all = MAX(content_bytes, bytes);

	all = (all + BLOCK_SECTOR_BYTES - 1) & ~(u64)(BLOCK_SECTOR_BYTES - 1);
	*disk = (struct ram_disk){
		.backend = {.ops = &ram_disk_ops,
			.bytes = all,
			.is_read_only = is_read_only,
			.can_discard = !is_read_only,
			.can_write_zeroes = !is_read_only},
		.content = content,
		.content_bytes = content_bytes,
		.page_count = (all + RAM_DISK_PAGE_BYTES - 1) / RAM_DISK_PAGE_BYTES,
		.own_pages_most = own_bytes_most / RAM_DISK_PAGE_BYTES,
	};
	disk->pages = host_memory_get(disk->page_count * sizeof(*disk->pages));
	return disk->pages ? STATUS_OK : STATUS_NO_MEMORY;
}

void ram_disk_end(struct ram_disk *disk)
{
	for (u64 i = 0; i < disk->page_count; i++)
		forget_page(disk, i, NULL);
	host_memory_put(disk->pages, disk->page_count * sizeof(*disk->pages));
	disk->pages = NULL;
}
