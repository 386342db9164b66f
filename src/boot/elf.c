/* SPDX-License-Identifier: MIT */
#include "boot/elf.h"

#include "base/memory.h"
#include "base/text.h"
#include "boot/loader.h"

enum {
	ELF_HEADER_32 = 52,
	ELF_HEADER_64 = 64,
	ELF_PROGRAM_32 = 32,
	ELF_PROGRAM_64 = 56,
	ELF_MACHINE_386 = 3,
	ELF_MACHINE_X86_64 = 62,
	ELF_SEGMENTS_MAX = 64,
	ELF_NOTES_MAX = 1024,
};

bool elf_is_image(const u8 *bytes, u64 size)
{
	return size >= 4 && !memcmp(bytes, "\177ELF", 4);
}

static enum status check_program_headers(struct elf_image *elf, struct error *error)
{
	if (!elf->header_count)
		return error_set(error, STATUS_INVALID,
			"kernel: an ELF without program headers: not an executable");
	if (elf->header_count > ELF_SEGMENTS_MAX)
		return error_set(error, STATUS_INVALID,
			"kernel: an ELF with %u program headers; at most %u are taken",
			elf->header_count, ELF_SEGMENTS_MAX);
	if (elf->header_bytes < (elf->is_64 ? ELF_PROGRAM_64 : ELF_PROGRAM_32))
		return error_set(
			error, STATUS_INVALID, "kernel: the ELF's program headers are too small");
	if (!file_has(elf->size, elf->headers, (u64)elf->header_bytes * elf->header_count))
		return error_set(error, STATUS_INVALID,
			"kernel: the ELF is truncated: its program headers lie past the end");
	return STATUS_OK;
}

enum status elf_open(struct elf_image *elf, const u8 *bytes, u64 size, struct error *error)
{
	struct elf_image image = {.bytes = bytes, .size = size};
	enum status status;
	u16 machine;

	if (!elf_is_image(bytes, size))
		return error_set(error, STATUS_INVALID, "kernel: not an ELF");
	if (size < 6 || bytes[4] < 1 || bytes[4] > 2 || bytes[5] != 1)
		return error_set(error, STATUS_INVALID,
			"kernel: an ELF that is neither 32 nor 64 bits little-endian");
	image.is_64 = bytes[4] == 2;
	if (size < (image.is_64 ? ELF_HEADER_64 : ELF_HEADER_32))
		return error_set(
			error, STATUS_INVALID, "kernel: the ELF is truncated within its header");
	machine = field_get_16(bytes + 18);
	if (machine != ELF_MACHINE_386 && machine != ELF_MACHINE_X86_64)
		return error_set(error, STATUS_INVALID,
			"kernel: an ELF for machine %u, not for x86", machine);
	image.entry = image.is_64 ? field_get_64(bytes + 24) : field_get_32(bytes + 24);
	image.headers = image.is_64 ? field_get_64(bytes + 32) : field_get_32(bytes + 28);
	image.header_bytes = field_get_16(bytes + (image.is_64 ? 54 : 42));
	image.header_count = field_get_16(bytes + (image.is_64 ? 56 : 44));
	status = check_program_headers(&image, error);
	if (status == STATUS_OK)
		*elf = image;
	return status;
}

void elf_get_segment(const struct elf_image *elf, unsigned i, struct elf_segment *segment)
{
	const u8 *at = elf->bytes + elf->headers + (u64)i * elf->header_bytes;

	segment->type = field_get_32(at);
	if (elf->is_64) {
		segment->offset = field_get_64(at + 8);
		segment->virtual = field_get_64(at + 16);
		segment->physical = field_get_64(at + 24);
		segment->file_bytes = field_get_64(at + 32);
		segment->memory_bytes = field_get_64(at + 40);
	} else {
		segment->offset = field_get_32(at + 4);
		segment->virtual = field_get_32(at + 8);
		segment->physical = field_get_32(at + 12);
		segment->file_bytes = field_get_32(at + 16);
		segment->memory_bytes = field_get_32(at + 20);
	}
}

/* The i-th header, if it is a segment that takes memory. */
static bool get_load(const struct elf_image *elf, unsigned i, struct elf_segment *segment)
{
	elf_get_segment(elf, i, segment);
	return segment->type == ELF_LOAD && segment->memory_bytes;
}

static enum status check_overlap(
	struct loader *loader, const struct elf_image *elf, unsigned i, const struct elf_segment *a)
{
	struct elf_segment b;

	for (unsigned j = 0; j < i; j++) {
		if (get_load(elf, j, &b) && a->physical < b.physical + b.memory_bytes &&
			b.physical < a->physical + a->memory_bytes)
			return error_set(loader->error, STATUS_INVALID,
				"kernel: the ELF's segments %u and %u overlap", j, i);
	}
	return STATUS_OK;
}

static enum status check_segment(
	struct loader *loader, const struct elf_image *elf, unsigned i, const struct elf_segment *a)
{
	enum status status;

	if (a->file_bytes > a->memory_bytes)
		return error_set(loader->error, STATUS_INVALID,
			"kernel: the ELF's segment %u is larger in the file than in memory", i);
	if (!file_has(elf->size, a->offset, a->file_bytes))
		return error_set(loader->error, STATUS_INVALID,
			"kernel: the ELF is truncated: segment %u lies past the end", i);
	status = loader_check_range(loader, a->physical, a->memory_bytes);
	if (status != STATUS_OK)
		return status;
	return check_overlap(loader, elf, i, a);
}

static enum status check_segments(struct loader *loader, const struct elf_image *elf)
{
	struct elf_segment segment;
	u64 start = ~(u64)0, end = 0;

	for (unsigned i = 0; i < elf->header_count; i++) {
		enum status status;

		if (!get_load(elf, i, &segment))
			continue;
		status = check_segment(loader, elf, i, &segment);
		if (status != STATUS_OK)
			return status;
		start = MIN(start, segment.physical);
		end = MAX(end, segment.physical + segment.memory_bytes);
	}
	if (!end)
		return error_set(
			loader->error, STATUS_INVALID, "kernel: an ELF with nothing to load");
	loader->kernel_start = start;
	loader->kernel_end = end;
	return STATUS_OK;
}

/* A note that the file cuts off might have said how the kernel is to be started. */
static enum status check_notes(const struct loader *loader, const struct elf_image *elf)
{
	struct elf_segment segment;

	for (unsigned i = 0; i < elf->header_count; i++) {
		elf_get_segment(elf, i, &segment);
		if (segment.type == ELF_NOTE &&
			!file_has(elf->size, segment.offset, segment.file_bytes))
			return error_set(loader->error, STATUS_INVALID,
				"kernel: the ELF is truncated within its notes");
	}
	return STATUS_OK;
}

enum status elf_load(struct loader *loader, const struct elf_image *elf)
{
	enum status status = check_notes(loader, elf);
	struct elf_segment segment;

	if (status == STATUS_OK)
		status = check_segments(loader, elf);

	for (unsigned i = 0; status == STATUS_OK && i < elf->header_count; i++) {
		if (!get_load(elf, i, &segment))
			continue;
		status = loader_write(
			loader, segment.physical, elf->bytes + segment.offset, segment.file_bytes);
		if (status == STATUS_OK)
			status = loader_clear(loader, segment.physical + segment.file_bytes,
				segment.memory_bytes - segment.file_bytes);
	}
	return status;
}

bool elf_find_physical(const struct elf_image *elf, u64 address, u64 *physical)
{
	struct elf_segment segment;

	for (unsigned i = 0; i < elf->header_count; i++) {
		if (get_load(elf, i, &segment) &&
			address - segment.physical < segment.memory_bytes) {
			*physical = address;
			return true;
		}
	}
	for (unsigned i = 0; i < elf->header_count; i++) {
		if (get_load(elf, i, &segment) &&
			address - segment.virtual < segment.memory_bytes) {
			*physical = address - segment.virtual + segment.physical;
			return true;
		}
	}
	return false;
}

/* Notes are name size, descriptor size, type, name and descriptor, both padded to four bytes. */
static bool find_note(const u8 *at, u64 bytes, const char *name, u32 type, const u8 **descriptor,
	u32 *descriptor_bytes)
{
	size_t wanted = text_length(name) + 1;

	for (unsigned i = 0; i < ELF_NOTES_MAX && bytes >= 12; i++) {
		u32 name_bytes = field_get_32(at), length = field_get_32(at + 4);
		u64 name_room = ((u64)name_bytes + 3) & ~(u64)3, room = ((u64)length + 3) & ~(u64)3;

		if (!file_has(bytes, 12, name_room + length))
			return false;
		if (field_get_32(at + 8) == type && name_bytes == wanted &&
			!memcmp(at + 12, name, wanted)) {
			*descriptor = at + 12 + name_room;
			*descriptor_bytes = length;
			return true;
		}
		if (!file_has(bytes, 12, name_room + room))
			return false;
		at += 12 + name_room + room;
		bytes -= 12 + name_room + room;
	}
	return false;
}

bool elf_find_note(
	const struct elf_image *elf, const char *name, u32 type, const u8 **descriptor, u32 *bytes)
{
	struct elf_segment segment;

	for (unsigned i = 0; i < elf->header_count; i++) {
		elf_get_segment(elf, i, &segment);
		if (segment.type == ELF_NOTE &&
			file_has(elf->size, segment.offset, segment.file_bytes) &&
			find_note(elf->bytes + segment.offset, segment.file_bytes, name, type,
				descriptor, bytes))
			return true;
	}
	return false;
}
