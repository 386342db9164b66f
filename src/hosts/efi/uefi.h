/* SPDX-License-Identifier: MIT */
/* What we use of the firmware's tables, as the UEFI specification 2.10 lays them out, by its names; what we do not use is a hole. */
#ifndef HOSTS_EFI_UEFI_H
#define HOSTS_EFI_UEFI_H

#include "base/types.h"

#define EFIAPI __attribute__((ms_abi))

typedef void *efi_handle;
typedef u64 efi_status;
typedef u16 efi_char; /* UCS-2 */

#define EFI_ERROR_BIT ((u64)1 << 63)
#define EFI_BUFFER_TOO_SMALL (EFI_ERROR_BIT | 5)
#define EFI_NOT_FOUND (EFI_ERROR_BIT | 14)

struct efi_guid {
	u32 a;
	u16 b, c;
	u8 d[8];
};

struct efi_table_header {
	u64 signature;
	u32 revision, header_bytes, crc32, reserved;
};

/* 12.4 */
struct efi_text_output {
	void *reset;
	efi_status(EFIAPI *output_string)(struct efi_text_output *output, const efi_char *text);
};

/* 7.2 */
enum efi_memory_type {
	EFI_LOADER_CODE = 1,
	EFI_LOADER_DATA = 2,
	EFI_BOOT_SERVICES_CODE = 3,
	EFI_BOOT_SERVICES_DATA = 4,
	EFI_CONVENTIONAL_MEMORY = 7,
	EFI_ACPI_RECLAIM_MEMORY = 9,
	EFI_ACPI_MEMORY_NVS = 10
};

enum efi_allocate_type {
	EFI_ALLOCATE_ANY_PAGES = 0,
	EFI_ALLOCATE_MAX_ADDRESS = 1,
	EFI_ALLOCATE_ADDRESS = 2
};

#define EFI_PAGE_BYTES 4096

struct efi_memory_descriptor {
	u32 type, hole;
	u64 physical_start, virtual_start, pages, attributes;
};

/* 4.4, in its order */
struct efi_boot_services {
	struct efi_table_header header;
	void *raise_tpl, *restore_tpl;
	efi_status(EFIAPI *allocate_pages)(u32 how, u32 type, u64 pages, u64 *address);
	efi_status(EFIAPI *free_pages)(u64 address, u64 pages);
	efi_status(EFIAPI *get_memory_map)(
		u64 *bytes, void *map, u64 *key, u64 *descriptor_bytes, u32 *version);
	void *hole_1[11];
	efi_status(EFIAPI *handle_protocol)(
		efi_handle handle, const struct efi_guid *protocol, void **interface);
	void *hole_2[9];
	efi_status(EFIAPI *exit_boot_services)(efi_handle image, u64 key);
	void *hole_3[2];
	efi_status(EFIAPI *set_watchdog_timer)(
		u64 seconds, u64 code, u64 bytes, const efi_char *data);
};

_Static_assert(offsetof(struct efi_boot_services, exit_boot_services) == 24 + 26 * 8, "4.4");

/* 4.6 */
struct efi_configuration_table {
	struct efi_guid guid;
	void *table;
};

/* 4.3 */
struct efi_system_table {
	struct efi_table_header header;
	const efi_char *firmware_vendor;
	u32 firmware_revision;
	void *hole_1[3];
	struct efi_text_output *console;
	void *hole_2[3];
	struct efi_boot_services *boot;
	u64 table_count;
	struct efi_configuration_table *tables;
};

_Static_assert(offsetof(struct efi_system_table, boot) == 96, "4.3");

/* 9.1 */
struct efi_loaded_image {
	u32 revision;
	efi_handle parent;
	struct efi_system_table *system;
	efi_handle device;
	void *hole_1[2];
	u32 option_bytes;
	const efi_char *options;
};

/* 13.5 */
#define EFI_FILE_MODE_READ 1
struct efi_file {
	u64 revision;
	efi_status(EFIAPI *open)(struct efi_file *file, struct efi_file **opened,
		const efi_char *name, u64 mode, u64 attributes);
	efi_status(EFIAPI *close)(struct efi_file *file);
	void *remove;
	efi_status(EFIAPI *read)(struct efi_file *file, u64 *bytes, void *to);
	void *write, *get_position, *set_position;
	efi_status(EFIAPI *get_info)(
		struct efi_file *file, const struct efi_guid *kind, u64 *bytes, void *to);
};

/* 13.4 */
struct efi_file_system {
	u64 revision;
	efi_status(EFIAPI *open_volume)(struct efi_file_system *system, struct efi_file **root);
};

/* The beginning of EFI_FILE_INFO. */
struct efi_file_info {
	u64 bytes; /* of this */
	u64 file_bytes;
};

#define EFI_LOADED_IMAGE_GUID                                          \
	{                                                              \
		0x5b1b31a1, 0x9562, 0x11d2,                            \
		{                                                      \
			0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b \
		}                                                      \
	}
#define EFI_FILE_SYSTEM_GUID                                           \
	{                                                              \
		0x964e5b22, 0x6459, 0x11d2,                            \
		{                                                      \
			0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b \
		}                                                      \
	}
#define EFI_FILE_INFO_GUID                                             \
	{                                                              \
		0x09576e92, 0x6d3f, 0x11d2,                            \
		{                                                      \
			0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b \
		}                                                      \
	}
#define EFI_ACPI_20_TABLE_GUID                                         \
	{                                                              \
		0x8868e871, 0xe4f1, 0x11d3,                            \
		{                                                      \
			0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 \
		}                                                      \
	}

#endif
