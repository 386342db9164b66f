/* SPDX-License-Identifier: MIT */
/*
 * The UEFI application: the Type 1 image, wrapped into what firmware starts. It reads the bundle from the volume that it was started from,
 * puts the image where it is linked, leaves the firmware, and enters by the PVH protocol, as other loaders do.
 *
 * No address may stand in its data: the linker makes no base relocations of them. A test looks.
 */
#ifndef HOSTS_EFI_APPLICATION_H
#define HOSTS_EFI_APPLICATION_H

#include "hosts/efi/uefi.h"

struct application {
	efi_handle handle;
	struct efi_system_table *system;
	struct efi_loaded_image *image;
};

/* A line for people on the firmware's console; ASCII. `detail` may be empty. */
void application_say(const struct application *application, const char *what, const char *detail);

/* Pages below 4 GiB, zeroed, or 0. They are EFI_LOADER_DATA: nothing frees them. */
u64 application_pages(const struct application *application, u64 bytes) must_use;

/* bundle.cpio in the volume's root, whole; false (told): it is not there, or cannot be read. */
struct bundle {
	u64 start, bytes;
};
bool bundle_read(const struct application *application, struct bundle *bundle) must_use;

/* Puts the ELF image to its addresses; 0 (told): it cannot be. Its PVH entry. */
u32 image_place(const struct application *application) must_use;

/* What is left to be done without the firmware (enter.S): from 64-bit code to `entry` in flat 32-bit code, with EBX. */
typedef void enter_entry(u32 entry, u32 start_info, u64 stack);
extern const u8 enter_code[], enter_code_end[];

/* The image (payload.S). */
extern const u8 image_file[], image_file_end[];

#endif
