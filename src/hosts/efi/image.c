/* SPDX-License-Identifier: MIT */
/* The image is our own: an ELF64 file (lodge-metal-64.elf), trusted, whose segments lie in ascending order. */
#include "base/memory.h"
#include "hosts/efi/application.h"

struct elf_header {
	u8 identification[16];
	u16 type, machine;
	u32 version;
	u64 entry, program_headers, section_headers;
	u32 flags;
	u16 header_bytes, program_header_bytes, program_header_count;
};

struct elf_program_header {
	u32 type, flags;
	u64 offset, virtual_address, physical_address, file_bytes, memory_bytes, alignment;
};

/* XEN_ELFNOTE_PHYS32_ENTRY with the name "Xen", whose 4 bytes of content are the entry. */
struct pvh_note {
	u32 name_bytes, content_bytes, type;
	char name[4];
	u32 entry;
};

#define PT_LOAD 1
#define PT_NOTE 4
#define NOTE_PHYS32_ENTRY 18

static const struct elf_program_header *program_header(unsigned index)
{
	const struct elf_header *header = (const void *)image_file;

	if (index >= header->program_header_count)
		return NULL;
	return (const void *)(image_file + header->program_headers +
		(u64)index * header->program_header_bytes);
}

static void find_range(u64 *start, u64 *end)
{
	const struct elf_program_header *segment;

	*start = ~(u64)0;
	*end = 0;
	for (unsigned i = 0; (segment = program_header(i)); i++) {
		if (segment->type != PT_LOAD)
			continue;
		*start = MIN(*start, segment->physical_address);
		*end = MAX(*end, segment->physical_address + segment->memory_bytes);
	}
	*start &= ~(u64)(EFI_PAGE_BYTES - 1);
}

static u32 find_entry(void)
{
	const struct elf_program_header *segment;

	for (unsigned i = 0; (segment = program_header(i)); i++) {
		const struct pvh_note *note = (const void *)(image_file + segment->offset);

		if (segment->type == PT_NOTE && note->type == NOTE_PHYS32_ENTRY)
			return note->entry;
	}
	return 0;
}

/* From here on nothing of the firmware's lies there. */
static bool take_range(const struct application *application, u64 start, u64 end)
{
	u64 pages = (end - start + EFI_PAGE_BYTES - 1) / EFI_PAGE_BYTES;

	return !application->system->boot->allocate_pages(
		EFI_ALLOCATE_ADDRESS, EFI_LOADER_DATA, pages, &start);
}

u32 image_place(const struct application *application)
{
	const struct elf_program_header *segment;
	u64 start, end;

	find_range(&start, &end);
	if (!take_range(application, start, end)) {
		application_say(application, "the firmware uses the memory that the image is for",
			" (from 2 MiB on)");
		return 0;
	}
	memset((void *)start, 0, end - start);
	for (unsigned i = 0; (segment = program_header(i)); i++) {
		if (segment->type == PT_LOAD)
			memcpy((void *)segment->physical_address, image_file + segment->offset,
				segment->file_bytes);
	}
	return find_entry();
}
