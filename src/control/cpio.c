/* SPDX-License-Identifier: MIT */
#include "control/cpio.h"

#include "base/memory.h"
#include "base/text.h"

/* The header: a magic and thirteen fields of eight hexadecimal digits (cpio(5), "New ASCII Format"). */
#define MAGIC_BYTES 6
#define FIELD_DIGITS 8
#define HEADER_BYTES (MAGIC_BYTES + 13 * FIELD_DIGITS)

enum field {
	FIELD_INODE = 0,
	FIELD_MODE = 1,
	FIELD_LINKS = 4,
	FIELD_BYTES = 6,
	FIELD_DEVICE_MAJOR = 7,
	FIELD_DEVICE_MINOR = 8,
	FIELD_NAME_BYTES = 11
};

#define MODE_TYPE 0170000
#define MODE_REGULAR 0100000

void cpio_open(struct cpio *cpio, const void *archive, size_t bytes)
{
	*cpio = (struct cpio){.archive = archive, .bytes = bytes};
}

static bool read_field(const u8 *header, enum field field, u32 *value)
{
	const u8 *digits = header + MAGIC_BYTES + (size_t)field * FIELD_DIGITS;

	*value = 0;
	for (unsigned i = 0; i < FIELD_DIGITS; i++) {
		int digit = text_hex_digit((char)digits[i]);

		if (digit < 0)
			return false;
		*value = *value << 4 | (u32)digit;
	}
	return true;
}

static bool read_header(const u8 *header, struct cpio_entry *entry, u32 *name_bytes)
{
	if (memcmp(header, "070701", MAGIC_BYTES) && memcmp(header, "070702", MAGIC_BYTES))
		return false;
	return read_field(header, FIELD_INODE, &entry->inode) &&
		read_field(header, FIELD_MODE, &entry->mode) &&
		read_field(header, FIELD_LINKS, &entry->links) &&
		read_field(header, FIELD_BYTES, &entry->bytes) &&
		read_field(header, FIELD_DEVICE_MAJOR, &entry->device_major) &&
		read_field(header, FIELD_DEVICE_MINOR, &entry->device_minor) &&
		read_field(header, FIELD_NAME_BYTES, name_bytes);
}

static size_t padded(size_t offset)
{
	return (offset + 3) & ~(size_t)3;
}

static enum status fail_cut(const struct cpio *cpio, struct error *error)
{
	return error_set(error, STATUS_INVALID,
		"the cpio archive is cut short: the file at byte %zu ends behind byte %zu",
		cpio->at, cpio->bytes);
}

static const char *plain_name(const char *name)
{
	while (*name == '/' || (name[0] == '.' && name[1] == '/'))
		name++;
	return name;
}

enum status cpio_next(struct cpio *cpio, struct cpio_entry *entry, struct error *error)
{
	const u8 *header = cpio->archive + cpio->at;
	size_t left = cpio->bytes - cpio->at, data;
	struct cpio_entry found;
	u32 name_bytes;

	if (left < HEADER_BYTES)
		return error_set(error, STATUS_INVALID,
			cpio->at ? "the cpio archive is cut short: it has no end"
				 : "not a cpio archive: too short");
	if (!read_header(header, &found, &name_bytes))
		return error_set(error, STATUS_INVALID,
			"not a cpio archive of the newc format (cpio -o -H newc): at byte %zu",
			cpio->at);
	if (!name_bytes || name_bytes > left - HEADER_BYTES)
		return fail_cut(cpio, error);
	data = padded(HEADER_BYTES + name_bytes);
	if (header[HEADER_BYTES + name_bytes - 1])
		return error_set(error, STATUS_INVALID,
			"cpio archive: the name at byte %zu has no end", cpio->at);
	found.name = (const char *)header + HEADER_BYTES;
	if (text_equal(found.name, "TRAILER!!!"))
		return STATUS_END;
	if (data > left || found.bytes > left - data)
		return fail_cut(cpio, error);
	found.name = plain_name(found.name);
	found.data = header + data;
	*entry = found;
	cpio->at += MIN(left, padded(data + found.bytes));
	return STATUS_OK;
}

static bool is_same_file(const struct cpio_entry *a, const struct cpio_entry *b)
{
	return a->inode == b->inode && a->device_major == b->device_major &&
		a->device_minor == b->device_minor;
}

/* Of hard links the archive gives the data with the last name only. */
static enum status find_data(
	const void *archive, size_t bytes, struct cpio_entry *entry, struct error *error)
{
	struct cpio_entry other;
	enum status status;
	struct cpio cpio;

	cpio_open(&cpio, archive, bytes);
	while ((status = cpio_next(&cpio, &other, error)) == STATUS_OK) {
		if (other.bytes && is_same_file(&other, entry)) {
			entry->data = other.data;
			entry->bytes = other.bytes;
		}
	}
	return status == STATUS_END ? STATUS_OK : status;
}

enum status cpio_find(const void *archive, size_t bytes, const char *name, struct cpio_entry *entry,
	struct error *error)
{
	struct cpio_entry found;
	enum status status;
	struct cpio cpio;

	cpio_open(&cpio, archive, bytes);
	do {
		status = cpio_next(&cpio, &found, error);
	} while (status == STATUS_OK && !text_equal(found.name, plain_name(name)));
	if (status == STATUS_END)
		return error_set(error, STATUS_NOT_FOUND, "there is no %.100s in it", name);
	if (status != STATUS_OK)
		return status;
	if ((found.mode & MODE_TYPE) != MODE_REGULAR)
		return error_set(error, STATUS_INVALID, "%.100s is not a regular file", name);
	if (!found.bytes && found.links > 1)
		status = find_data(archive, bytes, &found, error);
	if (status == STATUS_OK)
		*entry = found;
	return status;
}
