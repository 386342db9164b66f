/* SPDX-License-Identifier: MIT */
#include "hosts/linux/disks.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "control/disk.h"
#include "hosts/linux/block_file.h"

_Static_assert(DISKS_MAX <= PC_DISKS_MAX, "the board has a slot for each disk");

static struct {
	struct block_file files[DISKS_MAX];
	char names[DISKS_MAX][16]; /* as people count */
	struct disk_option options[DISKS_MAX];
	struct pc_disk disks[DISKS_MAX];
	unsigned count;
} all;

static enum status open_disk(const char *text, struct error *error)
{
	unsigned index = all.count;
	struct disk_option *option = &all.options[index];
	struct block_file *file = &all.files[index];
	enum status status = disk_option_parse(text, option, error);

	if (status != STATUS_OK)
		return status;
	snprintf(all.names[index], sizeof(all.names[index]), "disk %u", index + 1);
	status = block_file_init(
		file, all.names[index], atoi(option->file), option->is_read_only, error);
	if (status != STATUS_OK)
		return status;
	all.disks[index] = (struct pc_disk){&file->pooled.backend, option->serial};
	all.count++;
	return STATUS_OK;
}

enum status disks_open(const struct machine_config *config, struct error *error)
{
	char text[DISK_TEXT_BYTES_MAX];
	const char *at = config->disk_fds;
	enum status status = STATUS_OK;

	while (status == STATUS_OK && all.count < DISKS_MAX &&
		config_list_next(&at, text, sizeof(text)))
		status = open_disk(text, error);
	return status;
}

const struct pc_disk *disks_get(unsigned *count)
{
	*count = all.count;
	return all.disks;
}

unsigned disks_descriptors(int *descriptors, unsigned capacity)
{
	unsigned count = 0;

	for (; count < all.count && count < capacity; count++)
		descriptors[count] = all.files[count].fd;
	return count;
}

u64 disks_file_bytes_max(void)
{
	u64 most = 0;

	for (unsigned i = 0; i < all.count; i++)
		most = MAX(most, all.files[i].pooled.backend.bytes);
	return most;
}

unsigned disks_threads(void)
{
	return all.count ? BLOCK_POOL_THREADS : 0;
}

bool disks_start(struct machine *machine)
{
	return !all.count || block_pool_start(machine);
}

void disks_finish(void)
{
	block_pool_finish();
}
