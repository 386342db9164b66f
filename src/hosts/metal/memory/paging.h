/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's own address space: RAM mapped as it is, writable and not executable; of the image the code executable and not
 * writable, constants neither; nothing at address 0; a guard page below each stack. APM volume 2, 5.3.
 */
#ifndef HOSTS_METAL_MEMORY_PAGING_H
#define HOSTS_METAL_MEMORY_PAGING_H

#include "hosts/metal/boot/boot_info.h"

/* Makes the tables and takes them into use. */
void paging_init(const struct boot_info *info);
/* Where the tables are, for processors that start. */
u64 paging_root(void);

/* Maps what is not mapped yet. Devices are not cached. */
void paging_map_device(u64 physical, u64 bytes);
/* Tables of the firmware's, in memory that is not RAM: read only. Returns where they are. */
const void *paging_map_table(u64 physical, u64 bytes);
/* One page of RAM for what processors begin with: executable, or writable again; never both. */
void paging_set_executable(u64 physical, bool is_executable);
/* Nothing is at this page from now on. */
void paging_unmap_page(const void *page);

#endif
