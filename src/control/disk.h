/* SPDX-License-Identifier: MIT */
/* What `--disk` says of one disk: FILE[,ro][,format=raw|qcow2|vhost-user][,serial=TEXT]. The runner gets the same, with a descriptor for FILE. */
#ifndef CONTROL_DISK_H
#define CONTROL_DISK_H

#include "base/status.h"
#include "base/types.h"

#define DISKS_MAX 16
#define DISK_TEXT_BYTES_MAX 4200
#define DISK_SERIAL_BYTES 20 /* what virtio has room for */

enum disk_format { DISK_FORMAT_UNSAID, DISK_FORMAT_RAW, DISK_FORMAT_QCOW2, DISK_FORMAT_VHOST_USER };

/* The files that an image stands on, by what the front has opened. */
#define DISK_BACKING_MAX 8

struct disk_backing {
	u32 fd;
	enum disk_format format;
};

struct disk_option {
	char file[4096];
	char serial[DISK_SERIAL_BYTES + 1];
	bool is_read_only;
	enum disk_format format;
	/* Only between front and runner: ,backing=FORMAT:DESCRIPTOR, the next one below first. */
	struct disk_backing backing[DISK_BACKING_MAX];
	unsigned backing_count;
};

enum status disk_option_parse(
	const char *text, struct disk_option *disk, struct error *error) must_use;

#endif
