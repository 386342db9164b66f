/* SPDX-License-Identifier: MIT */
/*
 * check(condition): for faults of our own only, never for what a guest or a file did. A failed check
 * stops this machine with a dump and leaves others alone (hosts supply check_failed).
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include "base/types.h"

_Noreturn void check_failed(const char *file, int line, const char *condition);

#define check(condition)                                              \
	do {                                                          \
		if (unlikely(!(condition)))                           \
			check_failed(__FILE__, __LINE__, #condition); \
	} while (0)

#endif
