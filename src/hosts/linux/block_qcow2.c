/* SPDX-License-Identifier: MIT */
#include "hosts/linux/block_qcow2.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES MIB

/* Once for each kind of failure: a full disk fails at every write. */
static void tell_failure(struct block_qcow2 *block, const char *what, int failure)
{
	u64 bit = (u64)1 << (failure & 63);
	char line[200];

	if (block->failures_told & bit)
		return;
	block->failures_told |= bit;
	snprintf(line, sizeof(line),
		"%s: %s failed on the host: %s; the guest gets an I/O error (said once)",
		block->name, what, failure == EUCLEAN ? "the image is damaged" : strerror(failure));
	host_log(LOG_WARNING, line);
}

/* ---- data: through a buffer, since segments are small and tables are looked up for each piece ---- */

/* Where in the segments a transfer is. */
struct cursor {
	const struct block_segment *segment;
	u64 within;
};

static void copy(struct cursor *cursor, u8 *buffer, u64 bytes, bool to_guest)
{
	while (bytes) {
		u64 piece = MIN(bytes, cursor->segment->bytes - cursor->within);
		u8 *host = cursor->segment->host + cursor->within;

		if (to_guest)
			memcpy(host, buffer, piece);
		else
			memcpy(buffer, host, piece);
		buffer += piece;
		bytes -= piece;
		cursor->within += piece;
		if (cursor->within == cursor->segment->bytes)
			*cursor = (struct cursor){cursor->segment + 1, 0};
	}
}

static enum status transfer(struct block_qcow2 *block, const struct block_request *request)
{
	struct cursor cursor = {request->segments, 0};
	struct disk_view *view = chain_view(&block->chain);
	enum status status = STATUS_OK;

	for (u64 done = 0, piece; done < request->bytes && status == STATUS_OK; done += piece) {
		u64 offset = request->offset + done;

		piece = MIN(request->bytes - done, BUFFER_BYTES);
		if (request->operation == BLOCK_READ) {
			status = view->read(view, offset, block->buffer, piece);
			if (status == STATUS_OK)
				copy(&cursor, block->buffer, piece, true);
		} else {
			copy(&cursor, block->buffer, piece, false);
			status = qcow2_write(
				block->chain.files[0].image, offset, block->buffer, piece);
		}
	}
	return status;
}

/* ---- requests ---- */

static enum status execute(struct block_qcow2 *block, const struct block_request *request)
{
	struct qcow2 *image = block->chain.files[0].image;

	switch (request->operation) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		return transfer(block, request);
	case BLOCK_FLUSH:
		return qcow2_flush(image);
	case BLOCK_DISCARD:
		return qcow2_discard(image, request->offset, request->bytes);
	case BLOCK_WRITE_ZEROES:
		return qcow2_write_zeroes(
			image, request->offset, request->bytes, request->may_unmap);
	}
	return STATUS_UNSUPPORTED;
}

static enum status qcow2_execute(struct pooled_block *pooled, struct block_request *request)
{
	static const char *const names[] = {[BLOCK_READ] = "a read",
		[BLOCK_WRITE] = "a write",
		[BLOCK_FLUSH] = "making data durable",
		[BLOCK_DISCARD] = "a discard",
		[BLOCK_WRITE_ZEROES] = "writing zeroes"};
	struct block_qcow2 *block = container_of(pooled, struct block_qcow2, pooled);
	enum status status;

	host_lock(&block->lock);
	status = execute(block, request);
	if (status == STATUS_IO)
		tell_failure(block, names[request->operation], errno);
	host_unlock(&block->lock);
	return status;
}

/* ---- life ---- */

enum status block_qcow2_prepare(
	struct block_qcow2 *block, const char *name, bool is_read_only, struct error *error)
{
	block->name = name;
	block->pooled.execute = qcow2_execute;
	block->pooled.backend.is_read_only = is_read_only;
	host_lock_init(&block->lock);
	block_pool_add(&block->pooled);
	return chain_prepare(&block->chain, !is_read_only, error);
}

enum status block_qcow2_open(struct block_qcow2 *block, struct error *error)
{
	struct block_backend *backend = &block->pooled.backend;
	struct error reason;
	enum status status;

	block->buffer = malloc(BUFFER_BYTES);
	if (!block->buffer)
		return error_set(error, STATUS_NO_MEMORY, "%s: no memory", block->name);
	status = chain_open(&block->chain, !backend->is_read_only, &reason);
	if (status != STATUS_OK)
		return error_set(error, status, "%s: %s", block->name, reason.text);
	block->is_open = true;
	backend->bytes = chain_view(&block->chain)->bytes;
	backend->can_discard = backend->can_write_zeroes = !backend->is_read_only;
	return STATUS_OK;
}

void block_qcow2_close(struct block_qcow2 *block)
{
	if (block->is_open && chain_close(&block->chain) != STATUS_OK)
		tell_failure(block, "making data durable at the end", errno);
	block->is_open = false;
	free(block->buffer);
	block->buffer = NULL;
}
