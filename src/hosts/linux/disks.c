/* SPDX-License-Identifier: MIT */
#include "hosts/linux/disks.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "control/disk.h"
#include "hosts/linux/block_file.h"
#include "hosts/linux/block_qcow2.h"
#include "hosts/linux/block_ring.h"
#include "hosts/linux/vhosts.h"

_Static_assert(DISKS_MAX <= PC_DISKS_MAX, "the board has a slot for each disk");

static struct {
	/* Of each disk one, by its format. */
	struct block_file files[DISKS_MAX];
	struct block_qcow2 images[DISKS_MAX];
	char names[DISKS_MAX][16]; /* as people count */
	struct disk_option options[DISKS_MAX];
	struct pc_disk disks[DISKS_MAX];
	unsigned count;
} all;

static void add_backend(unsigned index, struct block_backend *backend)
{
	all.disks[index] =
		(struct pc_disk){.backend = backend, .serial = all.options[index].serial};
}

static enum status open_file(unsigned index, struct error *error)
{
	const struct disk_option *option = &all.options[index];
	struct block_file *file = &all.files[index];

	add_backend(index, &file->pooled.backend);
	return block_file_init(
		file, all.names[index], atoi(option->file), option->is_read_only, error);
}

static enum status prepare_image(unsigned index, struct error *error)
{
	const struct disk_option *option = &all.options[index];
	struct block_qcow2 *image = &all.images[index];

	add_backend(index, &image->pooled.backend);
	chain_init(&image->chain, option);
	return block_qcow2_prepare(image, all.names[index], option->is_read_only, error);
}

static enum status open_by_format(
	const struct machine_config *config, unsigned index, struct error *error)
{
	const struct disk_option *option = &all.options[index];

	switch (option->format) {
	case DISK_FORMAT_QCOW2:
		return prepare_image(index, error);
	case DISK_FORMAT_VHOST_USER:
		return vhosts_open_disk(config, all.names[index], atoi(option->file),
			option->is_read_only, &all.disks[index].vhost, error);
	default:
		return open_file(index, error);
	}
}

static enum status open_disk(
	const struct machine_config *config, const char *text, struct error *error)
{
	unsigned index = all.count;
	struct disk_option *option = &all.options[index];
	enum status status = disk_option_parse(text, option, error);

	if (status != STATUS_OK)
		return status;
	snprintf(all.names[index], sizeof(all.names[index]), "disk %u", index + 1);
	status = open_by_format(config, index, error);
	if (status == STATUS_OK)
		all.count++;
	return status;
}

static bool is_image(unsigned index)
{
	return all.options[index].format == DISK_FORMAT_QCOW2;
}

static bool is_file(unsigned index)
{
	return all.options[index].format == DISK_FORMAT_RAW;
}

/* Without a ring the pool's threads read. */
static void prepare_ring(void)
{
	int files[DISKS_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < all.count; i++) {
		if (!is_file(i))
			continue;
		all.files[i].pooled.ring_file = count;
		files[count++] = all.files[i].fd;
	}
	bool has_ring = count && block_ring_prepare(files, count);
	for (unsigned i = 0; i < all.count; i++)
		all.files[i].pooled.is_for_ring = has_ring && is_file(i);
}

enum status disks_open(const struct machine_config *config, struct error *error)
{
	char text[DISK_TEXT_BYTES_MAX];
	const char *at = config->disk_fds;
	enum status status = STATUS_OK;

	while (status == STATUS_OK && all.count < DISKS_MAX &&
		config_list_next(&at, text, sizeof(text)))
		status = open_disk(config, text, error);
	if (status == STATUS_OK)
		prepare_ring();
	return status;
}

enum status disks_open_images(struct error *error)
{
	enum status status = STATUS_OK;

	for (unsigned i = 0; i < all.count && status == STATUS_OK; i++) {
		if (is_image(i))
			status = block_qcow2_open(&all.images[i], error);
	}
	return status;
}

const struct pc_disk *disks_get(unsigned *count)
{
	*count = all.count;
	return all.disks;
}

unsigned disks_descriptors(int *descriptors, unsigned capacity)
{
	unsigned count =
		capacity < BLOCK_RING_DESCRIPTORS ? 0 : block_ring_descriptors(descriptors);

	for (unsigned i = 0; i < all.count; i++) {
		const struct disk_option *option = &all.options[i];

		if (option->format == DISK_FORMAT_VHOST_USER)
			continue;
		if (count + 1 + option->backing_count > capacity)
			break;
		descriptors[count++] = atoi(option->file);
		for (unsigned j = 0; j < option->backing_count; j++)
			descriptors[count++] = (int)option->backing[j].fd;
	}
	return count;
}

u64 disks_file_bytes_max(void)
{
	u64 most = 0;

	for (unsigned i = 0; i < all.count; i++) {
		/* An image that is written grows by tables and counts, too: only it knows how far. */
		if (is_image(i) && !all.options[i].is_read_only)
			return ~(u64)0;
		most = MAX(most, all.files[i].pooled.backend.bytes);
	}
	return most;
}

unsigned disks_threads(void)
{
	return all.count ? BLOCK_POOL_THREADS + block_ring_threads() : 0;
}

bool disks_start(struct machine *machine)
{
	return !all.count || (block_ring_start() && block_pool_start(machine));
}

void disks_finish(void)
{
	block_ring_finish();
	block_pool_finish();
	for (unsigned i = 0; i < all.count; i++) {
		if (is_image(i))
			block_qcow2_close(&all.images[i]);
	}
}
