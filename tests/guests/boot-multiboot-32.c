/* SPDX-License-Identifier: MIT */
/* An ELF by multiboot. */
#include "boot_multiboot.h"
