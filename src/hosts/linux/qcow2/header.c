/* SPDX-License-Identifier: MIT */
#include "hosts/linux/qcow2/header.h"

#include <errno.h>
#include <string.h>

#include "hosts/linux/qcow2/internal.h"

#define HEADER_BYTES_V2 72
#define HEADER_BYTES_V3 104
#define HEADER_BYTES_MAX 112 /* as far as we know it */
#define EXTENSION_BACKING_FORMAT 0xe2792aca
#define EXTENSIONS_MAX 64
/* QEMU's limits: what is larger is no image of anybody's. */
#define L1_BYTES_MAX (32 * MIB)
#define REFCOUNT_TABLE_BYTES_MAX (8 * MIB)

enum feature {
	DIRTY = 1 << 0,
	CORRUPT = 1 << 1,
	EXTERNAL_DATA = 1 << 2,
	COMPRESSION_TYPE = 1 << 3,
	EXTENDED_L2 = 1 << 4,
};

struct reader {
	struct disk_view *file;
	struct qcow2_header *header;
	struct error *error;
	u8 bytes[HEADER_BYTES_MAX];
	u32 header_bytes;
};

static u32 get_32(const u8 *at)
{
	u32 value;

	memcpy(&value, at, sizeof(value));
	return __builtin_bswap32(value);
}

static u64 get_64(const u8 *at)
{
	u64 value;

	memcpy(&value, at, sizeof(value));
	return __builtin_bswap64(value);
}

static bool is_magic(const u8 *bytes)
{
	return !memcmp(bytes, "QFI\xfb", 4);
}

bool qcow2_has_magic(struct disk_view *file)
{
	u8 magic[4];

	return file->read(file, 0, magic, sizeof(magic)) == STATUS_OK && is_magic(magic);
}

static enum status refuse(const struct reader *reader, const char *what)
{
	return error_set(reader->error, STATUS_UNSUPPORTED, "%s", what);
}

static enum status damaged(const struct reader *reader, const char *what)
{
	return error_set(reader->error, STATUS_UNSUPPORTED, "the image is damaged: %s", what);
}

/* ---- features ---- */

static enum status read_features(struct reader *reader)
{
	struct qcow2_header *header = reader->header;
	u64 features = get_64(reader->bytes + 72);

	header->has_autoclear = get_64(reader->bytes + 88);
	header->refcount_order = get_32(reader->bytes + 96);
	header->is_dirty = features & DIRTY;
	header->is_corrupt = features & CORRUPT;
	if (features & EXTERNAL_DATA)
		return refuse(reader, "images with their data in another file are not supported");
	if (features & EXTENDED_L2)
		return refuse(
			reader, "images with extended L2 entries (subclusters) are not supported");
	if (features & ~(u64)(DIRTY | CORRUPT | COMPRESSION_TYPE))
		return refuse(reader, "the image has features that are not known");
	header->compression = reader->header_bytes > HEADER_BYTES_V3 ? reader->bytes[104] : 0;
	if (header->compression > QCOW2_ZSTD ||
		(header->compression && !(features & COMPRESSION_TYPE)))
		return refuse(reader, "the image's compression is not known");
	return STATUS_OK;
}

static enum status read_version(struct reader *reader)
{
	struct qcow2_header *header = reader->header;

	header->version = get_32(reader->bytes + 4);
	reader->header_bytes = HEADER_BYTES_V2;
	header->refcount_order = 4;
	if (header->version == 2)
		return STATUS_OK;
	if (header->version != 3)
		return refuse(reader, "this version of qcow2 is not known");
	reader->header_bytes = get_32(reader->bytes + 100);
	if (reader->header_bytes < HEADER_BYTES_V3 || reader->header_bytes % 8)
		return damaged(reader, "its header's length cannot be");
	return read_features(reader);
}

/* ---- sizes and places ---- */

/* An aligned piece that is in the file. */
static bool is_piece(const struct reader *reader, u64 offset, u64 bytes)
{
	u64 cluster = 1ull << reader->header->cluster_bits, end = reader->file->bytes;

	return offset && !(offset % cluster) && offset < end && bytes <= end - offset;
}

static enum status read_geometry(struct reader *reader)
{
	struct qcow2_header *header = reader->header;
	const u8 *bytes = reader->bytes;

	header->cluster_bits = get_32(bytes + 20);
	header->bytes = get_64(bytes + 24);
	header->l1_entries = get_32(bytes + 36);
	header->l1_offset = get_64(bytes + 40);
	header->refcount_table_offset = get_64(bytes + 48);
	header->refcount_table_clusters = get_32(bytes + 56);
	header->snapshots = get_32(bytes + 60);
	if (get_32(bytes + 32))
		return refuse(reader, "encrypted images are not supported");
	if (header->cluster_bits < 9 || header->cluster_bits > 21 || header->refcount_order > 6 ||
		reader->header_bytes > 1u << header->cluster_bits)
		return damaged(reader, "its cluster size cannot be");
	return STATUS_OK;
}

static enum status check_geometry(struct reader *reader)
{
	struct qcow2_header *header = reader->header;
	u64 per_table = 1ull << (2 * header->cluster_bits - 3); /* bytes that an L2 table covers */
	u64 l1_bytes = header->l1_entries * 8ull;
	u64 table_bytes = (u64)header->refcount_table_clusters << header->cluster_bits;

	if (!header->bytes || header->bytes % 512)
		return damaged(reader, "the disk's size is not a number of sectors");
	if (header->bytes > 1ull << 62 || l1_bytes > L1_BYTES_MAX)
		return damaged(reader, "the disk's size cannot be");
	if (header->l1_entries < (header->bytes + per_table - 1) / per_table)
		return damaged(reader, "its L1 table is too small for the disk");
	if (!table_bytes || table_bytes > REFCOUNT_TABLE_BYTES_MAX)
		return damaged(reader, "the size of its refcount table cannot be");
	if (!is_piece(reader, header->l1_offset, l1_bytes))
		return damaged(reader, "its L1 table is not within the file (truncated?)");
	if (!is_piece(reader, header->refcount_table_offset, table_bytes))
		return damaged(reader, "its refcount table is not within the file (truncated?)");
	return STATUS_OK;
}

/* ---- the backing file ---- */

static enum status read_text(struct reader *reader, u64 offset, u32 length, char *to, u32 room)
{
	if (length >= room || offset + length > 1ull << reader->header->cluster_bits ||
		offset > reader->file->bytes)
		return damaged(reader, "the name of its backing file is not where it should be");
	if (reader->file->read(reader->file, offset, to, length) != STATUS_OK)
		return error_set(reader->error, STATUS_IO, "%s", strerror(errno));
	to[length] = 0;
	return strlen(to) == length
		? STATUS_OK
		: damaged(reader, "the name of its backing file has a zero in it");
}

static enum status read_extensions(struct reader *reader, u64 end)
{
	u64 at = reader->header_bytes;
	u8 head[8];

	for (unsigned i = 0; i < EXTENSIONS_MAX && at + 8 <= end; i++) {
		if (reader->file->read(reader->file, at, head, sizeof(head)) != STATUS_OK)
			return error_set(reader->error, STATUS_IO, "%s", strerror(errno));
		u32 type = get_32(head), length = get_32(head + 4);
		if (!type)
			break;
		if (type == EXTENSION_BACKING_FORMAT)
			return read_text(reader, at + 8, length, reader->header->backing_format,
				QCOW2_FORMAT_BYTES);
		at += 8 + (length + 7ull) / 8 * 8;
	}
	return STATUS_OK;
}

static enum status read_backing(struct reader *reader)
{
	u64 offset = get_64(reader->bytes + 8), cluster = 1ull << reader->header->cluster_bits;
	u32 length = get_32(reader->bytes + 16);
	enum status status;

	if (!offset || !length)
		return STATUS_OK;
	if (offset < reader->header_bytes || offset > cluster)
		return damaged(reader, "the name of its backing file is not where it should be");
	status = read_text(reader, offset, length, reader->header->backing, QCOW2_NAME_BYTES);
	return status == STATUS_OK ? read_extensions(reader, offset) : status;
}

/* ---- all of it ---- */

enum status qcow2_header_read(
	struct disk_view *file, struct qcow2_header *header, struct error *error)
{
	struct reader reader = {.file = file, .header = header, .error = error};
	enum status status;

	memset(header, 0, sizeof(*header));
	if (file->read(file, 0, reader.bytes, sizeof(reader.bytes)) != STATUS_OK)
		return error_set(error, STATUS_IO, "%s", strerror(errno));
	if (file->bytes < 4 || !is_magic(reader.bytes))
		return refuse(&reader, "it is not a qcow2 image");
	if (file->bytes < HEADER_BYTES_V2)
		return damaged(&reader, "it ends within its header");
	status = read_version(&reader);
	if (status == STATUS_OK)
		status = read_geometry(&reader);
	if (status == STATUS_OK)
		status = check_geometry(&reader);
	return status == STATUS_OK ? read_backing(&reader) : status;
}
