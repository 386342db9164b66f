/* SPDX-License-Identifier: MIT */
#include "hosts/metal/guest_disks.h"
#include "base/memory.h"

static enum status open_disk(struct guest_disks *disks, const char *text,
	const struct bundle *bundle, struct error *error)
{
	struct disk_option *option = &disks->option;
	const u8 *content = NULL;
	u64 bytes = 0;
	enum status status = disk_option_parse(text, option, error);
	if (status == STATUS_OK && option->format > DISK_FORMAT_RAW)
		return error_set(error, STATUS_UNSUPPORTED, "disk %.60s: only raw ones here", text);
	if (status == STATUS_OK)
		status = bundle_find(bundle, "disk", option->file, &content, &bytes, error);
	if (status != STATUS_OK)
		return status;
	if (!bytes)
		return error_set(error, STATUS_INVALID, "disk %.60s: it is empty", option->file);
	struct ram_disk *disk = &disks->disks[disks->count];
	/* It may write all of it anew. */
	if (ram_disk_init(disk, content, bytes, 0, bytes, option->is_read_only) != STATUS_OK)
		return error_set(
			error, STATUS_NO_MEMORY, "disk %.60s: out of memory", option->file);
	memcpy(disks->serials[disks->count], option->serial, sizeof(option->serial));
	disks->boards[disks->count] =
		(struct pc_disk){.backend = &disk->backend, .serial = disks->serials[disks->count]};
	disks->count++;
	return STATUS_OK;
}

enum status guest_disks_open(struct guest_disks *disks, const struct machine_config *config,
	const struct bundle *bundle, struct error *error)
{
	char text[DISK_TEXT_BYTES_MAX];
	const char *at = config->disk;
	enum status status = STATUS_OK;
	while (status == STATUS_OK && disks->count < PC_DISKS_MAX &&
		config_list_next(&at, text, sizeof(text)))
		status = open_disk(disks, text, bundle, error);
	return status;
}

void guest_disks_close(struct guest_disks *disks)
{
	for (unsigned i = 0; i < disks->count; i++)
		ram_disk_end(&disks->disks[i]);
	disks->count = 0;
}
