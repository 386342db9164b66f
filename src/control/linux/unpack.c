/* SPDX-License-Identifier: MIT */
#include "control/linux/unpack.h"

#include <limits.h>
#include <lz4.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define LZ4_LEGACY_MAGIC 0x184c2102
#define LZ4_LEGACY_BLOCK (8 * MIB) /* a block unpacks to at most this */
#define XZ_MEMORY_MAX (256 * MIB)

static const struct {
	enum unpack_format format;
	const char *name, *magic;
	u8 magic_bytes;
} formats[] = {
	{UNPACK_GZIP, "gzip", "\x1f\x8b", 2},
	{UNPACK_XZ, "xz",
		"\xfd"
		"7zXZ",
		6},
	{UNPACK_ZSTD, "zstd", "\x28\xb5\x2f\xfd", 4},
	{UNPACK_LZ4, "lz4", "\x02\x21\x4c\x18", 4},
};

enum unpack_format unpack_find_format(const u8 *from, u64 bytes)
{
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
		if (bytes >= formats[i].magic_bytes &&
			!memcmp(from, formats[i].magic, formats[i].magic_bytes))
			return formats[i].format;
	}
	return UNPACK_UNKNOWN;
}

const char *unpack_format_name(enum unpack_format format)
{
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
		if (formats[i].format == format)
			return formats[i].name;
	}
	return "unknown";
}

static bool unpack_gzip(const u8 *from, u64 bytes, u8 *to, u64 room)
{
	z_stream stream = {.next_in = (u8 *)from,
		.avail_in = (uInt)bytes,
		.next_out = to,
		.avail_out = (uInt)room};
	int result;

	if (bytes > UINT_MAX || room > UINT_MAX || inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
		return false;
	result = inflate(&stream, Z_FINISH);
	inflateEnd(&stream);
	return result == Z_STREAM_END && stream.total_out == room;
}

static bool unpack_xz(const u8 *from, u64 bytes, u8 *to, u64 room)
{
	uint64_t memory = XZ_MEMORY_MAX;
	size_t in = 0, out = 0;

	return lzma_stream_buffer_decode(&memory, 0, NULL, from, &in, bytes, to, &out, room) ==
		LZMA_OK &&
		out == room;
}

static bool unpack_zstd(const u8 *from, u64 bytes, u8 *to, u64 room)
{
	size_t frame = ZSTD_findFrameCompressedSize(from, bytes);

	return !ZSTD_isError(frame) && ZSTD_decompress(to, room, from, frame) == room;
}

/*
 * The legacy frame, which liblz4's frame interface refuses: a magic, then blocks, each a length and that many bytes. Kernels put
 * the unpacked size behind it, so that the stream ends where the room is full.
 */
static bool unpack_lz4(const u8 *from, u64 bytes, u8 *to, u64 room)
{
	u64 at = 4, out = 0;

	while (out < room) {
		u32 length;
		int got;

		if (bytes - at < 4)
			return false;
		memcpy(&length, from + at, 4);
		at += 4;
		if (length == LZ4_LEGACY_MAGIC)
			continue;
		if (!length || length > bytes - at || length > INT_MAX)
			return false;
		got = LZ4_decompress_safe((const char *)from + at, (char *)to + out, (int)length,
			(int)MIN(room - out, LZ4_LEGACY_BLOCK));
		if (got <= 0)
			return false;
		at += length;
		out += (u64)got;
	}
	return out == room;
}

bool unpack(enum unpack_format format, const u8 *from, u64 bytes, u8 *to, u64 room)
{
	switch (format) {
	case UNPACK_GZIP:
		return unpack_gzip(from, bytes, to, room);
	case UNPACK_XZ:
		return unpack_xz(from, bytes, to, room);
	case UNPACK_ZSTD:
		return unpack_zstd(from, bytes, to, room);
	case UNPACK_LZ4:
		return unpack_lz4(from, bytes, to, room);
	case UNPACK_UNKNOWN:
		break;
	}
	return false;
}
