/* SPDX-License-Identifier: MIT */
#include "hosts/efi/application.h"

#include "base/memory.h"

#define BELOW_4_GIB 0xffffffffu
#define RANGES_MAX 128
#define COMMAND_LINE_BYTES 256
#define HVM_START_INFO_MAGIC 0x336ec578

/* The PVH boot protocol: Xen's public/arch-x86/hvm/start_info.h. */
struct hvm_start_info {
	u32 magic, version, flags, module_count;
	u64 modules, command_line, rsdp, memory_map;
	u32 memory_map_count, reserved;
};

struct hvm_module {
	u64 start, bytes, command_line, reserved;
};

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };

struct hvm_memory_range {
	u64 start, bytes;
	u32 type, reserved;
};

/* What the image finds, what leads to it, and the firmware's own map: in pages that nobody else uses. */
struct handover {
	struct hvm_start_info start_info;
	struct hvm_module module;
	struct hvm_memory_range ranges[RANGES_MAX];
	char command_line[COMMAND_LINE_BYTES];
	u8 code[256], stack[1024];
	u64 map_bytes;
	u8 map[64 * 1024];
};

void application_say(const struct application *application, const char *what, const char *detail)
{
	const char *const parts[] = {"lodge-metal: ", what, detail, "\r\n"};
	struct efi_text_output *console = application->system->console;

	for (unsigned i = 0; console && i < ARRAY_SIZE(parts); i++) {
		for (const char *at = parts[i]; *at; at++) {
			efi_char text[2] = {(u8)*at, 0};

			console->output_string(console, text);
		}
	}
}

u64 application_pages(const struct application *application, u64 bytes)
{
	u64 address = BELOW_4_GIB, pages = (bytes + EFI_PAGE_BYTES - 1) / EFI_PAGE_BYTES;

	if (application->system->boot->allocate_pages(
		    EFI_ALLOCATE_MAX_ADDRESS, EFI_LOADER_DATA, pages, &address))
		return 0;
	memset((void *)address, 0, pages * EFI_PAGE_BYTES);
	return address;
}

static u64 find_rsdp(const struct efi_system_table *system)
{
	static const struct efi_guid acpi = EFI_ACPI_20_TABLE_GUID;

	for (u64 i = 0; i < system->table_count; i++) {
		if (!memcmp(&system->tables[i].guid, &acpi, sizeof(acpi)))
			return (u64)system->tables[i].table;
	}
	return 0;
}

/* Bytes of UCS-2 with, perhaps, a terminator; what is not ASCII becomes a question mark. */
static void take_command_line(struct handover *handover, const struct efi_loaded_image *image)
{
	unsigned length = image->options ? image->option_bytes / 2 : 0;

	for (unsigned i = 0; i < length && i < COMMAND_LINE_BYTES - 1 && image->options[i]; i++)
		handover->command_line[i] =
			image->options[i] < 0x80 ? (char)image->options[i] : '?';
}

/* What it is once the firmware has left. */
static u32 range_type(u32 type)
{
	switch (type) {
	case EFI_LOADER_CODE:
	case EFI_LOADER_DATA:
	case EFI_BOOT_SERVICES_CODE:
	case EFI_BOOT_SERVICES_DATA:
	case EFI_CONVENTIONAL_MEMORY:
		return E820_RAM;
	case EFI_ACPI_RECLAIM_MEMORY:
		return E820_ACPI;
	case EFI_ACPI_MEMORY_NVS:
		return E820_NVS;
	default:
		return E820_RESERVED;
	}
}

/* Neighbours of one type are one range. What does not fit is not told, and so not used. */
static void add_range(struct handover *handover, const struct efi_memory_descriptor *descriptor)
{
	struct hvm_memory_range *ranges = handover->ranges;
	u32 count = handover->start_info.memory_map_count, type = range_type(descriptor->type);
	u64 start = descriptor->physical_start, bytes = descriptor->pages * EFI_PAGE_BYTES;

	if (count && ranges[count - 1].type == type &&
		ranges[count - 1].start + ranges[count - 1].bytes == start) {
		ranges[count - 1].bytes += bytes;
	} else if (count < RANGES_MAX) {
		ranges[count] = (struct hvm_memory_range){start, bytes, type, 0};
		handover->start_info.memory_map_count++;
	}
}

/* The map may change while it is asked for: then the key is not its key any more, and it is asked for again. */
static bool leave_firmware(const struct application *application, struct handover *handover)
{
	const struct efi_boot_services *boot = application->system->boot;
	u64 key, descriptor_bytes;
	u32 version;

	for (unsigned attempt = 0; attempt < 8; attempt++) {
		handover->map_bytes = sizeof(handover->map);
		if (boot->get_memory_map(
			    &handover->map_bytes, handover->map, &key, &descriptor_bytes, &version))
			return false;
		if (boot->exit_boot_services(application->handle, key))
			continue;
		for (u64 at = 0; at + descriptor_bytes <= handover->map_bytes;
			at += descriptor_bytes)
			add_range(handover, (const void *)(handover->map + at));
		return true;
	}
	return false;
}

static void fill(struct handover *handover, const struct application *application,
	const struct bundle *bundle)
{
	take_command_line(handover, application->image);
	handover->module = (struct hvm_module){.start = bundle->start, .bytes = bundle->bytes};
	handover->start_info = (struct hvm_start_info){
		.magic = HVM_START_INFO_MAGIC,
		.version = 1,
		.module_count = bundle->bytes != 0,
		.modules = (u64)&handover->module,
		.command_line = (u64)handover->command_line,
		.rsdp = find_rsdp(application->system),
		.memory_map = (u64)handover->ranges,
	};
	memcpy(handover->code, enter_code, (u64)(enter_code_end - enter_code));
}

static efi_status start(struct application *application)
{
	struct handover *handover;
	struct bundle bundle;
	u32 entry;

	/* Without one, the image says so, too. */
	if (!bundle_read(application, &bundle))
		bundle = (struct bundle){0};
	handover = (void *)application_pages(application, sizeof(*handover));
	entry = image_place(application);
	if (!handover || !entry)
		return EFI_NOT_FOUND;
	application->system->boot->set_watchdog_timer(0, 0, 0, NULL);
	fill(handover, application, &bundle);
	if (!leave_firmware(application, handover)) {
		application_say(application, "the firmware does not let go", "");
		return EFI_NOT_FOUND;
	}
	((enter_entry *)(u64)handover->code)(entry, (u32)(u64)&handover->start_info,
		(u64)(handover->stack + sizeof(handover->stack)));
	return EFI_NOT_FOUND;
}

efi_status EFIAPI efi_main(efi_handle handle, struct efi_system_table *system);

efi_status EFIAPI efi_main(efi_handle handle, struct efi_system_table *system)
{
	static const struct efi_guid kind = EFI_LOADED_IMAGE_GUID;
	struct application application = {.handle = handle, .system = system};

	if (system->boot->handle_protocol(handle, &kind, (void **)&application.image))
		return EFI_NOT_FOUND;
	return start(&application);
}
