/* SPDX-License-Identifier: MIT */
/*
 * Linux on x86: Documentation/arch/x86/boot.rst (setup header, 32- and 64-bit boot protocols) and zero-page.rst.
 */
#include "base/bits.h"
#include "base/memory.h"
#include "boot/elf.h"
#include "boot/loader.h"
#include "core/machine.h"

/* The setup header: offsets both in a bzImage and in boot_params. */
enum linux_header {
	HEADER_START = 0x1f1,
	SETUP_SECTORS = 0x1f1,
	CODE_PARAGRAPHS = 0x1f4,
	VIDEO_MODE = 0x1fa,
	BOOT_FLAG = 0x1fe,
	HEADER_LENGTH = 0x201, /* the header ends so many bytes behind 0x202 */
	HEADER_MAGIC = 0x202,
	VERSION = 0x206,
	TYPE_OF_LOADER = 0x210,
	LOADFLAGS = 0x211,
	CODE32_START = 0x214,
	RAMDISK_IMAGE = 0x218,
	RAMDISK_BYTES = 0x21c,
	COMMAND_LINE = 0x228,
	INITRD_ADDRESS_MAX = 0x22c,
	KERNEL_ALIGNMENT = 0x230,
	RELOCATABLE = 0x234,
	XLOADFLAGS = 0x236,
	COMMAND_LINE_BYTES = 0x238,
	SETUP_DATA = 0x250,
	PREFERRED_ADDRESS = 0x258,
	INIT_SIZE = 0x260,
	HEADER_END_MAX = 0x290, /* what boot_params has room for */
};

/* boot_params beside the header. */
enum boot_params {
	RSDP_ADDRESS = 0x70,
	E820_ENTRIES = 0x1e8,
	E820_TABLE = 0x2d0,
	E820_ENTRY_BYTES = 20,
	BOOT_PARAMS_BYTES = 4096,
};

enum {
	LOADED_HIGH = 1 << 0,
	KASLR_FLAG = 1 << 1, /* set by the decompressor when it has moved the kernel: we do not */
	XLF_KERNEL_64 = 1 << 0,
	ENTRY_64 = 0x200,
	LOADER_UNDEFINED = 0xff,
	NORMAL_VIDEO_MODE = 0xffff,
	COMMAND_LINE_BYTES_OLD = 255, /* before protocol 2.06 */
	COMMAND_LINE_BYTES_BARE =
		2047, /* of an ELF without a setup header: COMMAND_LINE_SIZE - 1 */
};

#define HEADER_MAGIC_VALUE 0x53726448 /* "HdrS" */
#define INITRD_MAX_OLD 0x37ffffff     /* before protocol 2.03 */
#define INITRD_MAX_BARE 0x7fffffff

struct linux_image {
	u8 params
		[BOOT_PARAMS_BYTES]; /* boot_params: the header copied, what the file lacks is zero */
	u16 version;
	u64 initrd_max;
	u32 command_line_bytes;
};

bool linux_is_image(const struct boot_images *images)
{
	return images->kernel_bytes >= VERSION + 2 &&
		field_get_16(images->kernel + BOOT_FLAG) == 0xaa55 &&
		field_get_32(images->kernel + HEADER_MAGIC) == HEADER_MAGIC_VALUE;
}

/* Copies the header as far as its own length says; later protocols' fields are zero. */
static enum status read_header(struct loader *loader, struct linux_image *image)
{
	const struct boot_images *images = loader->images;
	u64 end = HEADER_MAGIC + images->kernel[HEADER_LENGTH];
	u8 *params = image->params;

	if (end < VERSION + 2 || end > images->kernel_bytes)
		return error_set(loader->error, STATUS_INVALID,
			"kernel: the bzImage is truncated within its setup header");
	memset(params, 0, BOOT_PARAMS_BYTES);
	memcpy(params + HEADER_START, images->kernel + HEADER_START,
		MIN(end, (u64)HEADER_END_MAX) - HEADER_START);
	image->version = field_get_16(params + VERSION);
	if (image->version < 0x0202 || !(params[LOADFLAGS] & LOADED_HIGH))
		return error_set(loader->error, STATUS_UNSUPPORTED,
			"kernel: a zImage, or one of boot protocol %u.%02u: too old; 2.02 is needed",
			image->version >> 8, image->version & 255);
	image->initrd_max = image->version >= 0x0203 ? field_get_32(params + INITRD_ADDRESS_MAX)
						     : INITRD_MAX_OLD;
	image->command_line_bytes = image->version >= 0x0206
		? field_get_32(params + COMMAND_LINE_BYTES)
		: COMMAND_LINE_BYTES_OLD;
	return STATUS_OK;
}

/* What a bzImage's header would say of a bare vmlinux. */
static void make_header(struct linux_image *image)
{
	u8 *params = image->params;

	memset(params, 0, BOOT_PARAMS_BYTES);
	field_put_16(params + BOOT_FLAG, 0xaa55);
	field_put_32(params + HEADER_MAGIC, HEADER_MAGIC_VALUE);
	image->version = 0x020f;
	field_put_16(params + VERSION, image->version);
	params[LOADFLAGS] = LOADED_HIGH;
	field_put_32(params + KERNEL_ALIGNMENT, 2 * MIB);
	image->initrd_max = INITRD_MAX_BARE;
	image->command_line_bytes = COMMAND_LINE_BYTES_BARE;
}

static void put_memory_map(u8 *params, const struct loader *loader)
{
	u8 *at = params + E820_TABLE;

	for (unsigned i = 0; i < loader->range_count; i++, at += E820_ENTRY_BYTES) {
		field_put_64(at, loader->ranges[i].start);
		field_put_64(at + 8, loader->ranges[i].bytes);
		field_put_32(at + 16, loader->ranges[i].type);
	}
	params[E820_ENTRIES] = (u8)loader->range_count;
}

/* The kernel lies in memory: the rest, and off. */
static enum status finish(
	struct loader *loader, struct linux_image *image, enum boot_mode mode, u64 rip)
{
	u8 *params = image->params;
	enum status status = loader_place_initrd(loader, image->initrd_max + 1);

	if (status == STATUS_OK)
		status = loader_write_command_line(loader, "", image->command_line_bytes);
	if (status != STATUS_OK)
		return status;
	params[TYPE_OF_LOADER] = LOADER_UNDEFINED;
	params[LOADFLAGS] &= (u8)~KASLR_FLAG;
	field_put_16(params + VIDEO_MODE, NORMAL_VIDEO_MODE);
	field_put_32(params + CODE32_START, (u32)loader->kernel_start);
	field_put_32(params + RAMDISK_IMAGE, (u32)loader->initrd);
	field_put_32(
		params + RAMDISK_BYTES, loader->initrd ? (u32)loader->images->initrd_bytes : 0);
	field_put_32(params + COMMAND_LINE, LOADER_COMMAND_LINE);
	field_put_64(params + SETUP_DATA, 0);
	field_put_64(params + RSDP_ADDRESS, loader->rsdp);
	put_memory_map(params, loader);
	loader->entry->rsi = LOADER_INFO;
	status = loader_write(loader, LOADER_INFO, params, BOOT_PARAMS_BYTES);
	return status == STATUS_OK ? loader_enter(loader, mode, rip) : status;
}

/* The room that the kernel wants from its start on before it looks at the memory map. */
static enum status reserve_init_size(struct loader *loader, const struct linux_image *image)
{
	u64 bytes = image->version >= 0x020a ? field_get_32(image->params + INIT_SIZE) : 0;

	bytes = MAX(bytes, loader->kernel_end - loader->kernel_start);
	loader->kernel_end = loader->kernel_start + bytes;
	return loader_check_range(loader, loader->kernel_start, bytes);
}

static enum status load_vmlinux(
	struct loader *loader, struct linux_image *image, const struct elf_image *elf)
{
	enum status status = elf_load(loader, elf);
	u64 entry;

	if (status == STATUS_OK)
		status = reserve_init_size(loader, image);
	if (status != STATUS_OK)
		return status;
	if (!elf_find_physical(elf, elf->entry, &entry))
		return error_set(loader->error, STATUS_INVALID,
			"kernel: the ELF's entry 0x%lx lies in no segment", elf->entry);
	return finish(loader, image, elf->is_64 ? BOOT_LONG_64 : BOOT_PROTECTED_32, entry);
}

enum status linux_load_elf(struct loader *loader, const struct elf_image *elf)
{
	struct linux_image image;

	make_header(&image);
	return load_vmlinux(loader, &image, elf);
}

static u64 load_address(const struct linux_image *image)
{
	const u8 *params = image->params;

	if (image->version >= 0x020a)
		return field_get_64(params + PREFERRED_ADDRESS);
	if (image->version >= 0x0205 && params[RELOCATABLE])
		return align_up(LOADER_HIGH, MAX(field_get_32(params + KERNEL_ALIGNMENT), 1u));
	return field_get_32(params + CODE32_START);
}

/* The header says how long the code is, in paragraphs of 16 bytes, the last of which may be cut. */
static bool is_truncated(const struct linux_image *image, u64 code_bytes)
{
	u64 said = (u64)field_get_32(image->params + CODE_PARAGRAPHS) * 16;

	return image->version >= 0x0204 && code_bytes + 15 < said;
}

/* The kernel as the file has it, which unpacks itself. */
static enum status load_packed(struct loader *loader, struct linux_image *image)
{
	const struct boot_images *images = loader->images;
	const u8 *params = image->params;
	u64 setup_bytes = (params[SETUP_SECTORS] ? params[SETUP_SECTORS] + 1 : 5) * 512ul;
	u64 start = load_address(image), bytes = images->kernel_bytes - setup_bytes;
	bool is_64 = image->version >= 0x020c && field_get_16(params + XLOADFLAGS) & XLF_KERNEL_64;
	enum status status;

	if (images->kernel_bytes <= setup_bytes + (is_64 ? ENTRY_64 : 0) ||
		is_truncated(image, bytes))
		return error_set(loader->error, STATUS_INVALID,
			"kernel: the bzImage is truncated behind its setup part");
	if (!field_get_32(params + CODE32_START))
		return error_set(loader->error, STATUS_UNSUPPORTED,
			"kernel: it has a real-mode entry only and needs a BIOS");
	status = loader_check_range(loader, start, bytes);
	if (status != STATUS_OK)
		return status;
	loader->kernel_start = start;
	loader->kernel_end = start + bytes;
	status = reserve_init_size(loader, image);
	if (status == STATUS_OK)
		status = loader_write(loader, start, images->kernel + setup_bytes, bytes);
	if (status != STATUS_OK)
		return status;
	return finish(loader, image, is_64 ? BOOT_LONG_64 : BOOT_PROTECTED_32,
		start + (is_64 ? ENTRY_64 : 0));
}

enum status linux_load(struct loader *loader)
{
	const struct boot_images *images = loader->images;
	struct linux_image image;
	struct elf_image elf;
	enum status status = read_header(loader, &image);

	if (status != STATUS_OK)
		return status;
	if (!images->payload)
		return load_packed(loader, &image);
	status = elf_open(&elf, images->payload, images->payload_bytes, loader->error);
	return status == STATUS_OK ? load_vmlinux(loader, &image, &elf) : status;
}
