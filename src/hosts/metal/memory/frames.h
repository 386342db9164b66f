/* SPDX-License-Identifier: MIT */
/*
 * The machine's memory, by pages. Every address of RAM is mapped as it is (memory/paging.h), so that a physical address is a
 * pointer and back.
 */
#ifndef HOSTS_METAL_MEMORY_FRAMES_H
#define HOSTS_METAL_MEMORY_FRAMES_H

#include "hosts/metal/boot/boot_info.h"

#define FRAME_BYTES ((u64)4096)
#define LARGE_FRAME_BYTES ((u64)2 << 20)

/* All RAM that the boot information has, without the first MiB, the image and the bundle. */
void frames_init(const struct boot_info *info);
/* Zeroed and contiguous; NULL: there is no such piece. bytes is rounded up to pages. */
void *frames_get(u64 bytes, u64 alignment) must_use;
void frames_put(void *frames, u64 bytes);
u64 frames_free_bytes(void);

#endif
