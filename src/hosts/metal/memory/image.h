/* SPDX-License-Identifier: MIT */
/* Where the image's parts lie (metal.ld). */
#ifndef HOSTS_METAL_MEMORY_IMAGE_H
#define HOSTS_METAL_MEMORY_IMAGE_H

#include "base/types.h"

extern const u8 image_start[], text_end[], rodata_end[], image_end[];

#endif
