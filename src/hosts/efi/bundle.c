/* SPDX-License-Identifier: MIT */
#include "hosts/efi/application.h"

static struct efi_file *open_bundle(const struct application *application)
{
	static const struct efi_guid kind = EFI_FILE_SYSTEM_GUID;
	struct efi_file_system *volume;
	struct efi_file *root, *file;
	efi_status status;

	if (application->system->boot->handle_protocol(
		    application->image->device, &kind, (void **)&volume) ||
		volume->open_volume(volume, &root))
		return NULL;
	status = root->open(root, &file, u"bundle.cpio", EFI_FILE_MODE_READ, 0);
	root->close(root);
	return status ? NULL : file;
}

/* The structure is followed by the file's name. */
static bool read_size(struct efi_file *file, u64 *bytes)
{
	static const struct efi_guid kind = EFI_FILE_INFO_GUID;
	union {
		struct efi_file_info info;
		u8 room[512];
	} about;
	u64 room = sizeof(about);

	if (file->get_info(file, &kind, &room, &about))
		return false;
	*bytes = about.info.file_bytes;
	return true;
}

static bool read_file(
	const struct application *application, struct efi_file *file, struct bundle *bundle)
{
	u64 got;

	if (!read_size(file, &bundle->bytes) || !bundle->bytes)
		return false;
	bundle->start = application_pages(application, bundle->bytes);
	got = bundle->bytes;
	if (!bundle->start)
		application_say(application, "there is no memory below 4 GiB for the bundle", "");
	return bundle->start && !file->read(file, &got, (void *)bundle->start) &&
		got == bundle->bytes;
}

bool bundle_read(const struct application *application, struct bundle *bundle)
{
	struct efi_file *file = open_bundle(application);
	bool is_read;

	if (!file) {
		application_say(application,
			"there is no bundle.cpio in the volume that this was started from", "");
		return false;
	}
	is_read = read_file(application, file, bundle);
	file->close(file);
	if (!is_read)
		application_say(application, "bundle.cpio is empty, or cannot be read", "");
	return is_read;
}
