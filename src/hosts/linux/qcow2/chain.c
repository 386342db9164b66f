/* SPDX-License-Identifier: MIT */
#include "hosts/linux/qcow2/chain.h"

#include <stdlib.h>

void chain_init(struct chain *chain, const struct disk_option *option)
{
	chain->count = 1 + option->backing_count;
	chain->files[0] = (struct chain_file){
		.fd = atoi(option->file), .is_qcow2 = option->format == DISK_FORMAT_QCOW2};
	for (unsigned i = 0; i < option->backing_count; i++)
		chain->files[1 + i] = (struct chain_file){.fd = (int)option->backing[i].fd,
			.is_qcow2 = option->backing[i].format == DISK_FORMAT_QCOW2};
}

enum status chain_prepare(struct chain *chain, bool is_writable, struct error *error)
{
	enum status status = STATUS_OK;

	for (unsigned i = 0; i < chain->count && status == STATUS_OK; i++) {
		struct chain_file *file = &chain->files[i];

		file->image = NULL;
		status = raw_file_init(&file->raw, file->fd, is_writable && i == 0, error);
	}
	return status;
}

static struct disk_view *file_view(struct chain_file *file)
{
	return file->image ? qcow2_view(file->image) : &file->raw.file.view;
}

struct disk_view *chain_view(struct chain *chain)
{
	return file_view(&chain->files[0]);
}

/* What is read only has nothing to flush. */
static void close_from(struct chain *chain, unsigned first)
{
	for (unsigned i = first; i < chain->count; i++) {
		if (chain->files[i].image)
			qcow2_abandon(chain->files[i].image);
		chain->files[i].image = NULL;
	}
}

enum status chain_open(struct chain *chain, bool is_writable, struct error *error)
{
	struct disk_view *below = NULL;

	/* From the bottom. */
	for (unsigned i = chain->count; i-- > 0;) {
		struct chain_file *file = &chain->files[i];
		enum status status = STATUS_OK;

		if (file->is_qcow2)
			status = qcow2_open(
				&file->raw.file, below, is_writable && i == 0, &file->image, error);
		if (status != STATUS_OK) {
			close_from(chain, i + 1);
			return status;
		}
		below = file_view(file);
	}
	return STATUS_OK;
}

enum status chain_close(struct chain *chain)
{
	enum status status = STATUS_OK;

	if (chain->files[0].image)
		status = qcow2_close(chain->files[0].image);
	chain->files[0].image = NULL;
	close_from(chain, 1);
	return status;
}
