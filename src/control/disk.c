/* SPDX-License-Identifier: MIT */
#include "control/disk.h"

#include "base/memory.h"
#include "base/text.h"
#include "control/config.h"

/* Takes what lies before the next single comma; two are one that is meant. */
static bool take_part(const char **at, char *part, size_t capacity)
{
	struct text text;

	text_init(&text, part, capacity);
	for (; **at; ++*at) {
		if (**at == ',' && *++*at != ',')
			break;
		text_append_char(&text, **at);
	}
	return !text.truncated;
}

static enum status parse_format(const char *name, struct disk_option *disk, struct error *error)
{
	if (text_equal(name, "raw"))
		disk->format = DISK_FORMAT_RAW;
	else if (text_equal(name, "qcow2"))
		disk->format = DISK_FORMAT_QCOW2;
	else if (text_equal(name, "vhost-user"))
		disk->format = DISK_FORMAT_VHOST_USER;
	else
		return error_set(error, STATUS_INVALID,
			"--disk: there is no format '%.40s'; there are raw, qcow2 and vhost-user",
			name);
	return STATUS_OK;
}

static enum status parse_serial(const char *serial, struct disk_option *disk, struct error *error)
{
	size_t length = text_length(serial);

	if (length > DISK_SERIAL_BYTES)
		return error_set(error, STATUS_INVALID,
			"--disk: serial=%.40s is longer than %u letters", serial,
			DISK_SERIAL_BYTES);
	for (size_t i = 0; i < length; i++) {
		if (serial[i] < ' ' || serial[i] > '~')
			return error_set(error, STATUS_INVALID,
				"--disk: a serial number has plain letters only");
	}
	memcpy(disk->serial, serial, length + 1);
	return STATUS_OK;
}

static enum status parse_backing(const char *text, struct disk_option *disk, struct error *error)
{
	bool is_qcow2 = text_starts_with(text, "qcow2:");
	u64 fd;

	if (disk->backing_count == DISK_BACKING_MAX ||
		!(is_qcow2 || text_starts_with(text, "raw:")) ||
		!config_parse_size(text + text_length(is_qcow2 ? "qcow2:" : "raw:"), &fd) ||
		fd > 0x7fffffff)
		return error_set(
			error, STATUS_INVALID, "--disk: no such backing file '%.40s'", text);
	disk->backing[disk->backing_count++] =
		(struct disk_backing){(u32)fd, is_qcow2 ? DISK_FORMAT_QCOW2 : DISK_FORMAT_RAW};
	return STATUS_OK;
}

static enum status parse_part(const char *part, struct disk_option *disk, struct error *error)
{
	if (text_equal(part, "ro")) {
		disk->is_read_only = true;
		return STATUS_OK;
	}
	if (text_starts_with(part, "format="))
		return parse_format(part + text_length("format="), disk, error);
	if (text_starts_with(part, "serial="))
		return parse_serial(part + text_length("serial="), disk, error);
	if (text_starts_with(part, "backing="))
		return parse_backing(part + text_length("backing="), disk, error);
	return error_set(error, STATUS_INVALID,
		"--disk: unexpected '%.60s'; behind FILE come ,ro ,format= and ,serial= (a comma in "
		"FILE is written twice)",
		part);
}

enum status disk_option_parse(const char *text, struct disk_option *disk, struct error *error)
{
	enum status status = STATUS_OK;
	char part[80];

	memset(disk, 0, sizeof(*disk));
	if (!take_part(&text, disk->file, sizeof(disk->file)))
		return error_set(
			error, STATUS_INVALID, "--disk %.40s...: the name is too long", disk->file);
	if (!disk->file[0])
		return error_set(error, STATUS_INVALID, "--disk needs a file's name");
	while (status == STATUS_OK && *text) {
		if (!take_part(&text, part, sizeof(part)))
			return error_set(error, STATUS_INVALID,
				"--disk %.100s: '%.40s...' is too long", disk->file, part);
		status = parse_part(part, disk, error);
	}
	return status;
}
