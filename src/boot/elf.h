/* SPDX-License-Identifier: MIT */
/* ELF kernels of 32 and 64 bits: System V ABI, chapters 4 and 5. Everything in the file is checked before use. */
#ifndef BOOT_ELF_H
#define BOOT_ELF_H

#include "base/status.h"
#include "base/types.h"

struct loader;

struct elf_image {
	const u8 *bytes;
	u64 size;
	bool is_64;
	u64 entry;
	u64 headers; /* offset of the program headers, which lie within the file */
	u32 header_bytes, header_count;
};

enum elf_segment_type { ELF_LOAD = 1, ELF_NOTE = 4 };

struct elf_segment {
	u32 type;
	u64 offset, file_bytes; /* in the file; checked only for ELF_LOAD by elf_load */
	u64 virtual, physical, memory_bytes;
};

bool elf_is_image(const u8 *bytes, u64 size);

/* Reads the file header. `bytes` stays the caller's and must outlive elf. */
enum status elf_open(
	struct elf_image *elf, const u8 *bytes, u64 size, struct error *error) must_use;

/* i is below elf->header_count. */
void elf_get_segment(const struct elf_image *elf, unsigned i, struct elf_segment *segment);

/* Loads all segments by physical address, and sets the loader's kernel_start and kernel_end. */
enum status elf_load(struct loader *loader, const struct elf_image *elf) must_use;

/* Where an address of the file (physical, or else virtual) lies in a loaded segment; false: in none. */
bool elf_find_physical(const struct elf_image *elf, u64 address, u64 *physical) must_use;

/* The descriptor of the first note of that name and type; false: there is none. */
bool elf_find_note(const struct elf_image *elf, const char *name, u32 type, const u8 **descriptor,
	u32 *bytes) must_use;

#endif
