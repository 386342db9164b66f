/* SPDX-License-Identifier: MIT */
/* First: it uses the word that types.h defines for unused. */
#include <ext2fs/ext2fs.h>

#include "control/linux/disk/ext.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/linux/image.h"

#define SUPERBLOCK_AT 1024
#define COPY_BYTES 65536

struct ext {
	ext2_filsys fs;
};

/* libext2fs opens a channel by name; ours has none, so it is handed over beside. */
static struct piece {
	struct disk_view *disk;
	u64 offset, bytes;
} opening;

/* ---- the channel: read-only, a piece of a disk ---- */

static struct struct_io_manager manager;

static errcode_t channel_open(const char *name, int flags, io_channel *result)
{
	struct struct_io_channel *channel = calloc(1, sizeof(*channel));
	struct piece *piece = malloc(sizeof(*piece));

	if (!channel || !piece) {
		free(channel);
		free(piece);
		return EXT2_ET_NO_MEMORY;
	}
	*piece = opening;
	*channel = (struct struct_io_channel){.magic = EXT2_ET_MAGIC_IO_CHANNEL,
		.manager = &manager,
		.name = strdup(name),
		.block_size = SUPERBLOCK_AT,
		.refcount = 1,
		.private_data = piece};
	*result = channel;
	return 0;
}

static errcode_t channel_close(io_channel channel)
{
	if (--channel->refcount > 0)
		return 0;
	free(channel->private_data);
	free(channel->name);
	free(channel);
	return 0;
}

static errcode_t channel_set_block_size(io_channel channel, int bytes)
{
	channel->block_size = bytes;
	return 0;
}

/* A negative count is bytes, else blocks. */
static errcode_t channel_read_64(io_channel channel, unsigned long long block, int count, void *to)
{
	const struct piece *piece = channel->private_data;
	u64 bytes = count < 0 ? (u64) - (i64)count : (u64)count * (u64)channel->block_size, at;

	if (__builtin_mul_overflow(block, (u64)channel->block_size, &at) || at > piece->bytes ||
		bytes > piece->bytes - at)
		return EXT2_ET_SHORT_READ;
	return piece->disk->read(piece->disk, piece->offset + at, to, bytes) == STATUS_OK ? 0 : EIO;
}

static errcode_t channel_read(io_channel channel, unsigned long block, int count, void *to)
{
	return channel_read_64(channel, block, count, to);
}

static errcode_t channel_write_64(
	io_channel channel, unsigned long long block, int count, const void *from)
{
	return EROFS;
}

static errcode_t channel_write(io_channel channel, unsigned long block, int count, const void *from)
{
	return EROFS;
}

static errcode_t channel_flush(io_channel channel)
{
	return 0;
}

static struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "piece of a disk",
	.open = channel_open,
	.close = channel_close,
	.set_blksize = channel_set_block_size,
	.read_blk = channel_read,
	.write_blk = channel_write,
	.flush = channel_flush,
	.read_blk64 = channel_read_64,
	.write_blk64 = channel_write_64,
};

/* ---- file systems ---- */

static bool has_magic(struct disk_view *disk, const struct partition *partition)
{
	u8 magic[2];

	return partition->bytes > SUPERBLOCK_AT + 1024 &&
		disk->read(disk, partition->offset + SUPERBLOCK_AT + 56, magic, sizeof(magic)) ==
		STATUS_OK &&
		magic[0] == 0x53 && magic[1] == 0xef;
}

static const char *reason(errcode_t failure)
{
	static char number[48];

	if (failure < 256)
		return strerror((int)failure);
	snprintf(number, sizeof(number), "error %ld of libext2fs", (long)failure);
	return number;
}

enum status ext_open(struct disk_view *disk, const struct partition *partition, struct ext **ext,
	struct error *error)
{
	struct ext *opened;
	errcode_t failure;

	if (!has_magic(disk, partition))
		return error_set(error, STATUS_NOT_FOUND, "no ext2, ext3 or ext4 file system");
	opened = calloc(1, sizeof(*opened));
	if (!opened)
		return error_set(error, STATUS_NO_MEMORY, "no memory");
	opening = (struct piece){disk, partition->offset, partition->bytes};
	failure = ext2fs_open2("disk", NULL, EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES, 0, 0,
		&manager, &opened->fs);
	if (failure) {
		free(opened);
		return error_set(error, STATUS_UNSUPPORTED,
			"its ext4 file system is damaged or of a kind that is not read (%s)",
			reason(failure));
	}
	*ext = opened;
	return STATUS_OK;
}

void ext_close(struct ext *ext)
{
	ext2fs_close_free(&ext->fs);
	free(ext);
}

void ext_uuid(const struct ext *ext, char text[EXT_UUID_BYTES])
{
	const u8 *uuid = ext->fs->super->s_uuid;
	size_t length = 0;

	for (unsigned i = 0; i < 16; i++)
		length += (size_t)sprintf(text + length, "%s%02x",
			i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

static bool find(struct ext *ext, const char *path, ext2_ino_t *inode)
{
	return !ext2fs_namei_follow(ext->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, inode);
}

bool ext_has(struct ext *ext, const char *path)
{
	ext2_ino_t inode;

	return find(ext, path, &inode);
}

struct listing {
	void (*each)(void *context, const char *name);
	void *context;
};

static int list_entry(
	struct ext2_dir_entry *entry, int offset, int block_bytes, char *buffer, void *context)
{
	struct listing *listing = context;
	char name[EXT2_NAME_LEN + 1];
	size_t length = (size_t)ext2fs_dirent_name_len(entry);

	memcpy(name, entry->name, length);
	name[length] = 0;
	listing->each(listing->context, name);
	return 0;
}

void ext_list(struct ext *ext, const char *folder, void (*each)(void *context, const char *name),
	void *context)
{
	struct listing listing = {each, context};
	ext2_ino_t inode;

	if (find(ext, folder, &inode))
		(void)ext2fs_dir_iterate(ext->fs, inode, 0, NULL, list_entry, &listing);
}

/* ---- files ---- */

static enum status copy_file(ext2_file_t file, int fd, u64 bytes)
{
	static u8 buffer[COPY_BYTES];

	while (bytes) {
		unsigned got = 0;

		if (ext2fs_file_read(file, buffer, (unsigned)MIN(bytes, sizeof(buffer)), &got) ||
			!got)
			return STATUS_IO;
		if (write(fd, buffer, got) != (ssize_t)got)
			return STATUS_NO_MEMORY;
		bytes -= got;
	}
	return STATUS_OK;
}

static enum status read_opened(
	ext2_file_t file, const char *path, u64 limit, int *fd, struct error *error)
{
	__u64 bytes = 0; /* not the u64 of ours */
	enum status status;
	int made;

	if (ext2fs_file_get_lsize(file, &bytes) || !bytes)
		return error_set(error, STATUS_UNSUPPORTED, "%.100s is empty", path);
	if (bytes > limit)
		return error_set(error, STATUS_TOO_BIG,
			"%.100s has %llu MiB, which is more than fits (%llu MiB)", path,
			bytes >> 20, (unsigned long long)limit >> 20);
	status = memfd_create_sized("file", 0, &made, error);
	if (status != STATUS_OK)
		return status;
	status = copy_file(file, made, bytes);
	if (status == STATUS_OK)
		*fd = made;
	else
		close(made);
	return status == STATUS_OK
		? STATUS_OK
		: error_set(error, status, "%.100s: %s", path,
			  status == STATUS_IO ? "it cannot be read" : "no memory for a copy");
}

enum status ext_read(struct ext *ext, const char *path, u64 limit, int *fd, struct error *error)
{
	struct ext2_inode attributes;
	ext2_file_t file;
	ext2_ino_t inode;
	enum status status;

	if (!find(ext, path, &inode) || ext2fs_read_inode(ext->fs, inode, &attributes))
		return error_set(error, STATUS_NOT_FOUND, "there is no %.100s", path);
	if (!LINUX_S_ISREG(attributes.i_mode))
		return error_set(error, STATUS_UNSUPPORTED, "%.100s is not a file", path);
	if (ext2fs_file_open2(ext->fs, inode, &attributes, 0, &file))
		return error_set(error, STATUS_IO, "%.100s cannot be read", path);
	status = read_opened(file, path, limit, fd, error);
	ext2fs_file_close(file);
	return status;
}
