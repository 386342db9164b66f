/* SPDX-License-Identifier: MIT */
/* A flat image by multiboot: its header has the addresses; it goes on behind what the file holds. */
#include "boot_multiboot.h"
