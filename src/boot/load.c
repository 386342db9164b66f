/* SPDX-License-Identifier: MIT */
/* Which protocol a kernel wants, and the pieces that all protocols share. */
#include "base/bits.h"
#include "base/memory.h"
#include "base/text.h"
#include "boot/elf.h"
#include "boot/loader.h"
#include "core/machine.h"

#define DEFINE_FIELD(bits)                           \
	u##bits field_get_##bits(const u8 *at)       \
	{                                            \
		u##bits value;                       \
		memcpy(&value, at, sizeof(value));   \
		return value;                        \
	}                                            \
	void field_put_##bits(u8 *at, u##bits value) \
	{                                            \
		memcpy(at, &value, sizeof(value));   \
	}

DEFINE_FIELD(16)
DEFINE_FIELD(32)
DEFINE_FIELD(64)

/* For messages, rounded up. */
static unsigned long mib(u64 bytes)
{
	return (bytes >> 20) + !!(bytes & (MIB - 1));
}

enum status loader_write(struct loader *loader, u64 gpa, const void *from, u64 bytes)
{
	if (!bytes || memory_write(loader->machine, gpa, from, bytes))
		return STATUS_OK;
	return error_set(loader->error, STATUS_TOO_BIG,
		"kernel: there is no memory at %#lx; give the guest more with --memory", gpa);
}

enum status loader_clear(struct loader *loader, u64 gpa, u64 bytes)
{
	static const u8 zeros[4096];

	while (bytes) {
		u64 piece = MIN(bytes, sizeof(zeros));
		enum status status = loader_write(loader, gpa, zeros, piece);

		if (status != STATUS_OK)
			return status;
		gpa += piece;
		bytes -= piece;
	}
	return STATUS_OK;
}

enum status loader_check_range(struct loader *loader, u64 start, u64 bytes)
{
	if (start + bytes < start)
		return error_set(loader->error, STATUS_INVALID,
			"kernel: it wants to lie at 0x%lx, past all addresses", start);
	if (start < LOADER_HIGH)
		return error_set(loader->error, STATUS_UNSUPPORTED,
			"kernel: it wants to lie at 0x%lx, below 1 MiB, where the boot tables are",
			start);
	if (start + bytes > MEMORY_HOLE_START)
		return error_set(loader->error, STATUS_INVALID,
			"kernel: it wants to lie at 0x%lx, where no memory can be", start);
	if (start + bytes > loader->low_bytes)
		return error_set(loader->error, STATUS_TOO_BIG,
			"kernel: it needs at least %lu MiB of memory, the guest has %lu; give more "
			"with --memory",
			mib(start + bytes), mib(loader->low_bytes));
	return STATUS_OK;
}

enum status loader_write_command_line(struct loader *loader, const char *prefix, u64 limit)
{
	const char *line = loader->images->command_line;
	u64 prefix_bytes = text_length(prefix), bytes = text_length(line) + 1;
	enum status status;

	limit = MIN(limit, (u64)LOADER_COMMAND_LINE_BYTES - 1);
	if (prefix_bytes + bytes - 1 > limit)
		return error_set(loader->error, STATUS_TOO_BIG,
			"kernel: its command line may have %lu bytes; --append gives %lu",
			limit - MIN(limit, prefix_bytes), bytes - 1);
	status = loader_write(loader, LOADER_COMMAND_LINE, prefix, prefix_bytes);
	if (status != STATUS_OK)
		return status;
	return loader_write(loader, LOADER_COMMAND_LINE + prefix_bytes, line, bytes);
}

/* As high as possible in [floor, ceiling), on a page; false: no room. */
static bool place(u64 floor, u64 ceiling, u64 bytes, u64 *at)
{
	if (ceiling < floor || bytes > ceiling - floor)
		return false;
	*at = align_down(ceiling - bytes, 4096);
	return *at >= floor;
}

enum status loader_place_initrd(struct loader *loader, u64 below)
{
	u64 bytes = loader->images->initrd_bytes, ceiling = MIN(below, loader->low_bytes);

	if (!loader->images->initrd)
		return STATUS_OK;
	if (!place(loader->kernel_end, ceiling, bytes, &loader->initrd) &&
		!place(LOADER_HIGH, MIN(loader->kernel_start, ceiling), bytes, &loader->initrd))
		return error_set(loader->error, STATUS_TOO_BIG,
			"initrd: its %lu MiB do not fit beside the kernel into the guest's %lu MiB; "
			"give more with --memory",
			mib(bytes), mib(loader->low_bytes));
	return loader_write(loader, loader->initrd, loader->images->initrd, bytes);
}

/* Selectors 0x10 and 0x18 as the Linux boot protocol wants them; the others do not care. */
static enum status write_gdt(struct loader *loader, enum boot_mode mode)
{
	const u64 gdt[] = {0, 0, mode == BOOT_LONG_64 ? 0x00af9b000000ffff : 0x00cf9b000000ffff,
		0x00cf93000000ffff, 0x00008b0000000067};

	loader->entry->gdt = LOADER_GDT;
	loader->entry->gdt_limit = sizeof(gdt) - 1;
	return loader_write(loader, LOADER_GDT, gdt, sizeof(gdt));
}

/* Identity for 4 GiB: one PML4, one page of pointers, four directories of 2 MiB pages. APM volume 2, 5.3. */
static enum status write_page_tables(struct loader *loader)
{
	u64 table[512] = {LOADER_PAGE_TABLES + 0x1000 + 3};
	enum status status = loader_write(loader, LOADER_PAGE_TABLES, table, sizeof(table));

	for (unsigned i = 0; i < 4; i++)
		table[i] = LOADER_PAGE_TABLES + 0x2000 + i * 0x1000 + 3;
	if (status == STATUS_OK)
		status = loader_write(loader, LOADER_PAGE_TABLES + 0x1000, table, sizeof(table));
	for (unsigned i = 0; status == STATUS_OK && i < 4; i++) {
		for (unsigned j = 0; j < 512; j++)
			table[j] = ((u64)i << 30 | (u64)j << 21) + 0x83;
		status = loader_write(
			loader, LOADER_PAGE_TABLES + 0x2000 + i * 0x1000, table, sizeof(table));
	}
	return status;
}

enum status loader_enter(struct loader *loader, enum boot_mode mode, u64 rip)
{
	enum status status = write_gdt(loader, mode);

	loader->entry->mode = mode;
	loader->entry->rip = rip;
	if (status != STATUS_OK || mode != BOOT_LONG_64)
		return status;
	loader->entry->cr3 = LOADER_PAGE_TABLES;
	return write_page_tables(loader);
}

static void add_range(struct loader *loader, u64 start, u64 end, u32 type)
{
	if (start < end)
		loader->ranges[loader->range_count++] =
			(struct memory_range){start, end - start, type};
}

static void make_memory_map(struct loader *loader)
{
	const struct memory *memory = &loader->machine->memory;

	add_range(loader, 0, LOADER_LOW_END, RANGE_RAM);
	add_range(loader, LOADER_LOW_END, LOADER_BIOS_START, RANGE_RESERVED);
	add_range(loader, ACPI_TABLES_BASE, LOADER_HIGH, RANGE_RESERVED);
	add_range(loader, LOADER_HIGH, memory->low_bytes, RANGE_RAM);
	add_range(loader, MEMORY_HIGH_START, MEMORY_HIGH_START + memory->bytes - memory->low_bytes,
		RANGE_RAM);
}

/*
 * What a BIOS leaves in its data area, and kernels look at without asking: the first serial port, where the extended area is,
 * and where RAM ends below it (Xen lays its trampoline there).
 */
static enum status write_bios_data(struct loader *loader, const struct acpi_platform *platform)
{
	u8 data[0x100] = {0}, extended[16] = {1}; /* KiB of it */
	enum status status;

	field_put_16(data, platform->serial_port);
	field_put_16(data + 0x0e, LOADER_LOW_END >> 4);
	field_put_16(data + 0x13, LOADER_LOW_END / 1024);
	status = loader_write(loader, LOADER_BIOS_DATA, data, sizeof(data));
	return status == STATUS_OK
		? loader_write(loader, LOADER_LOW_END, extended, sizeof(extended))
		: status;
}

static enum status load_elf(struct loader *loader)
{
	const struct boot_images *images = loader->images;
	struct elf_image elf;
	u64 entry;
	enum status status = elf_open(&elf, images->kernel, images->kernel_bytes, loader->error);

	if (status != STATUS_OK)
		return status;
	if (pvh_find_entry(&elf, &entry))
		return pvh_load(loader, &elf, entry);
	if (multiboot_is_image(images))
		return multiboot_load(loader, &elf);
	return linux_load_elf(loader, &elf);
}

static enum status load_kernel(struct loader *loader)
{
	const struct boot_images *images = loader->images;

	if (!images->kernel || !images->kernel_bytes)
		return error_set(loader->error, STATUS_INVALID, "kernel: the file is empty");
	if (elf_is_image(images->kernel, images->kernel_bytes))
		return load_elf(loader);
	if (linux_is_image(images))
		return linux_load(loader);
	if (multiboot_is_image(images))
		return multiboot_load(loader, NULL);
	return error_set(loader->error, STATUS_INVALID,
		"kernel: not a Linux bzImage, an ELF or a multiboot kernel");
}

enum status boot_load(struct machine *machine, const struct boot_images *images,
	const struct acpi_platform *platform, struct boot_entry *entry, struct error *error)
{
	struct boot_entry result = {0};
	struct loader loader = {
		.machine = machine,
		.images = images,
		.entry = &result,
		.error = error,
		.low_bytes = machine->memory.low_bytes,
	};
	enum status status;

	if (loader.low_bytes < LOADER_HIGH)
		return error_set(error, STATUS_TOO_BIG, "the guest has less than 1 MiB of memory");
	make_memory_map(&loader);
	status = acpi_write_tables(machine, platform, &loader.rsdp);
	if (status != STATUS_OK)
		return error_set(error, status, "the ACPI tables do not fit into memory");
	status = write_bios_data(&loader, platform);
	if (status == STATUS_OK)
		status = load_kernel(&loader);
	if (status == STATUS_OK)
		*entry = result;
	return status;
}
