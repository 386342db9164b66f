/* SPDX-License-Identifier: MIT */
#include "hosts/linux/block_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SEGMENTS_AT_ONCE 256
/* More than that would hold the machine's lock too long. */
#define NOW_BYTES_MAX 65536

_Static_assert(sizeof(struct block_segment) == sizeof(struct iovec) &&
		offsetof(struct block_segment, bytes) == offsetof(struct iovec, iov_len),
	"a segment is an iovec");

/* Once for each kind of failure: a full disk fails at every write. */
static void tell_failure(struct block_file *file, const char *what, int failure)
{
	u64 bit = (u64)1 << (failure & 63);
	char line[200];

	if (__atomic_fetch_or(&file->failures_told, bit, __ATOMIC_RELAXED) & bit)
		return;
	snprintf(line, sizeof(line),
		"%s: %s failed on the host: %s; the guest gets an I/O error (said once)",
		file->name, what, strerror(failure));
	host_log(LOG_WARNING, line);
}

/* Moves on by what was done; returns how many pieces are left at *left. */
static unsigned advance(struct iovec **left, unsigned count, size_t done)
{
	while (count && done >= (*left)->iov_len) {
		done -= (*left)->iov_len;
		++*left;
		count--;
	}
	if (count) {
		(*left)->iov_base = (u8 *)(*left)->iov_base + done;
		(*left)->iov_len -= done;
	}
	return count;
}

static enum status transfer_pieces(struct block_file *file, bool is_read, u64 offset,
	const struct block_segment *segments, unsigned count)
{
	struct iovec pieces[SEGMENTS_AT_ONCE], *left = pieces;

	memcpy(pieces, segments, count * sizeof(pieces[0]));
	while (count) {
		ssize_t done = is_read ? preadv(file->fd, left, (int)count, (off_t)offset)
				       : pwritev(file->fd, left, (int)count, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			/* Nothing read: somebody has cut the file meanwhile. */
			tell_failure(file, is_read ? "a read" : "a write", done ? errno : EIO);
			return STATUS_IO;
		}
		count = advance(&left, count, (size_t)done);
		offset += (u64)done;
	}
	return STATUS_OK;
}

static enum status transfer(struct block_file *file, const struct block_request *request)
{
	bool is_read = request->operation == BLOCK_READ;
	u64 offset = request->offset;
	enum status status = STATUS_OK;

	for (unsigned done = 0; status == STATUS_OK && done < request->segment_count;) {
		const struct block_segment *segments = request->segments + done;
		unsigned count = MIN(request->segment_count - done, SEGMENTS_AT_ONCE);

		status = transfer_pieces(file, is_read, offset, segments, count);
		for (unsigned i = 0; i < count; i++)
			offset += segments[i].bytes;
		done += count;
	}
	return status;
}

/* What the host has in its page cache is there in less time than another thread takes to wake. */
static bool file_try_now(struct pooled_block *pooled, struct block_request *request)
{
	struct block_file *file = container_of(pooled, struct block_file, pooled);

	if (request->operation != BLOCK_READ || request->bytes > NOW_BYTES_MAX)
		return false;
	return preadv2(file->fd, (const struct iovec *)request->segments,
		       (int)request->segment_count, (off_t)request->offset,
		       RWF_NOWAIT) == (ssize_t)request->bytes;
}

static enum status flush(struct block_file *file)
{
	if (file->pooled.backend.is_read_only || !fdatasync(file->fd))
		return STATUS_OK;
	tell_failure(file, "making data durable", errno);
	return STATUS_IO;
}

/* Where the file system cannot do it, zeroes are written. */
static enum status write_zeroes(struct block_file *file, u64 offset, u64 bytes)
{
	static const u8 zeroes[65536];
	enum status status = STATUS_OK;

	while (status == STATUS_OK && bytes) {
		u64 piece = MIN(bytes, sizeof(zeroes));
		struct block_segment segment = {(u8 *)zeroes, piece};

		status = transfer_pieces(file, false, offset, &segment, 1);
		offset += piece;
		bytes -= piece;
	}
	return status;
}

static bool change_range(struct block_file *file, int mode, const struct block_request *request)
{
	int failure;

	do
		failure = fallocate(file->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)request->offset,
			(off_t)request->bytes);
	while (failure && errno == EINTR);
	return !failure;
}

static enum status zero(struct block_file *file, const struct block_request *request)
{
	bool unmaps = request->operation == BLOCK_DISCARD || request->may_unmap;

	if (unmaps && change_range(file, FALLOC_FL_PUNCH_HOLE, request))
		return STATUS_OK;
	if (request->operation == BLOCK_DISCARD)
		return errno == EOPNOTSUPP ? STATUS_OK : STATUS_IO; /* it is advice */
	if (change_range(file, FALLOC_FL_ZERO_RANGE, request))
		return STATUS_OK;
	return write_zeroes(file, request->offset, request->bytes);
}

static enum status file_execute(struct pooled_block *pooled, struct block_request *request)
{
	struct block_file *file = container_of(pooled, struct block_file, pooled);

	switch (request->operation) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		return transfer(file, request);
	case BLOCK_FLUSH:
		return flush(file);
	case BLOCK_DISCARD:
	case BLOCK_WRITE_ZEROES:
		return zero(file, request);
	}
	return STATUS_UNSUPPORTED;
}

enum status block_file_init(
	struct block_file *file, const char *name, int fd, bool is_read_only, struct error *error)
{
	struct block_backend *backend = &file->pooled.backend;
	off_t bytes = lseek(fd, 0, SEEK_END); /* block devices have no size in stat */

	if (bytes < BLOCK_SECTOR_BYTES)
		return error_set(error, STATUS_IO, "%s: no file with a sector in it", name);
	file->fd = fd;
	file->name = name;
	file->pooled.execute = file_execute;
	file->pooled.try_now = file_try_now;
	block_pool_add(&file->pooled);
	backend->bytes = (u64)bytes / BLOCK_SECTOR_BYTES * BLOCK_SECTOR_BYTES;
	backend->is_read_only = is_read_only;
	backend->can_discard = backend->can_write_zeroes = !is_read_only;
	return STATUS_OK;
}
