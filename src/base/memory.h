/* SPDX-License-Identifier: MIT */
/*
 * memcpy and its family. Hosted builds take libc's, freestanding ones base/memory.c's; the declarations are the
 * compiler's builtins either way.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include "base/types.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

#endif
