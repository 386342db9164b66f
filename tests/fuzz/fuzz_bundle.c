/* SPDX-License-Identifier: MIT */
/* A bundle: the archive's walk, and the list of machines in its machines.json. */
#include <stdlib.h>

#include "base/text.h"
#include "control/cpio.h"
#include "control/machines.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void walk_machines(const char *json, size_t bytes)
{
	static struct machine_config config;
	static struct machines machines;
	struct error error = {{0}};
	enum status status = machines_open(&machines, json, bytes, &error);

	while (status != STATUS_END) {
		if (status != STATUS_OK && !error.text[0])
			abort();
		status = machines_next(&machines, &config, &error);
	}
	if (machines.at > bytes)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct cpio_entry entry;
	struct error error;
	enum status status;

	walk_machines((const char *)data, size);
	status = cpio_find(data, size, "machines.json", &entry, &error);
	if (status == STATUS_OK) {
		if (entry.data < data || entry.data + entry.bytes > data + size)
			abort();
		walk_machines((const char *)entry.data, entry.bytes);
	}
	return 0;
}
