/* SPDX-License-Identifier: MIT */
#include "hosts/metal/bundle.h"
#include "control/cpio.h"

enum status bundle_find(const struct bundle *bundle, const char *what, const char *path,
	const u8 **content, u64 *bytes, struct error *error)
{
	struct cpio_entry entry;
	struct error reason;
	if (!*path)
		return STATUS_OK;
	enum status status = cpio_find(bundle->archive, bundle->bytes, path, &entry, &reason);
	if (status != STATUS_OK)
		return error_set(error, status, "%s: in the bundle, %s", what, reason.text);
	*content = entry.data;
	*bytes = entry.bytes;
	return STATUS_OK;
}
