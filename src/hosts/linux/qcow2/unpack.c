/* SPDX-License-Identifier: MIT */
/* Compressed clusters. The decompressors have an arena of their own: nothing is allocated while a guest runs. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zlib.h>
#include <zstd.h>

#include "hosts/linux/qcow2/internal.h"

#define ZLIB_ARENA_BYTES (64 * KIB) /* its state and a window, 40 KiB */

struct zlib_arena {
	struct qcow2 *image;
	size_t taken;
};

size_t unpack_arena_bytes(enum qcow2_compression compression)
{
	return compression == QCOW2_ZSTD ? ZSTD_estimateDCtxSize() : ZLIB_ARENA_BYTES;
}

static voidpf take(voidpf opaque, uInt items, uInt bytes)
{
	struct zlib_arena *arena = opaque;
	size_t wanted = ((size_t)items * bytes + 15) / 16 * 16;
	size_t at = arena->taken;

	if (wanted > arena->image->arena_bytes - at)
		return Z_NULL;
	arena->taken += wanted;
	return arena->image->arena + at;
}

static void give_back(voidpf opaque, voidpf address) {}

/* A raw deflate stream. What follows it in its last sector is somebody else's. */
static bool unpack_zlib(struct qcow2 *image, u64 bytes)
{
	struct zlib_arena arena = {.image = image};
	z_stream stream = {.next_in = image->packed,
		.avail_in = (uInt)bytes,
		.next_out = image->unpacked,
		.avail_out = (uInt)image->cluster_bytes,
		.zalloc = take,
		.zfree = give_back,
		.opaque = &arena};
	int result;

	if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
		return false;
	result = inflate(&stream, Z_FINISH);
	inflateEnd(&stream);
	return (result == Z_STREAM_END || result == Z_BUF_ERROR) && !stream.avail_out;
}

static bool unpack_zstd(struct qcow2 *image, u64 bytes)
{
	size_t frame = ZSTD_findFrameCompressedSize(image->packed, bytes);
	ZSTD_DCtx *context = ZSTD_initStaticDCtx(image->arena, image->arena_bytes);

	return context && !ZSTD_isError(frame) &&
		ZSTD_decompressDCtx(context, image->unpacked, image->cluster_bytes, image->packed,
			frame) == image->cluster_bytes;
}

bool unpack_cluster(struct qcow2 *image, u64 bytes)
{
	return image->header.compression == QCOW2_ZSTD ? unpack_zstd(image, bytes)
						       : unpack_zlib(image, bytes);
}
