/* SPDX-License-Identifier: MIT */
/* An ELF without notes: by Linux's 32-bit entry. */
#include "boot_linux.h"
