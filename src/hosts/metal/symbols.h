/* SPDX-License-Identifier: MIT */
/* Names of the image's functions, which tools/generate-symbols takes from a first linking. */
#ifndef HOSTS_METAL_SYMBOLS_H
#define HOSTS_METAL_SYMBOLS_H

#include "base/types.h"

/* "?" where there is none. */
const char *symbol_find(u64 address, u64 *offset);

#endif
