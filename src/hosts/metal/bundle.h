/* SPDX-License-Identifier: MIT */
/* What is to run: the loader's module, a cpio archive of machines.json and the files that it names. */
#ifndef HOSTS_METAL_BUNDLE_H
#define HOSTS_METAL_BUNDLE_H

#include "base/status.h"
#include "base/types.h"

struct bundle {
	const u8 *archive;
	u64 bytes;
};

/* A file's content, where it lies; nothing is found, and nothing wrong, for the path "". The line names `what` it is for. */
enum status bundle_find(const struct bundle *bundle, const char *what, const char *path,
	const u8 **content, u64 *bytes, struct error *error) must_use;

#endif
