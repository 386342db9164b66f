/* SPDX-License-Identifier: MIT */
/* Decompression from memory to memory, by the formats that kernels come in. */
#ifndef CONTROL_LINUX_UNPACK_H
#define CONTROL_LINUX_UNPACK_H

#include "base/status.h"
#include "base/types.h"

enum unpack_format { UNPACK_UNKNOWN, UNPACK_GZIP, UNPACK_XZ, UNPACK_ZSTD, UNPACK_LZ4 };

enum unpack_format unpack_find_format(const u8 *from, u64 bytes);
const char *unpack_format_name(enum unpack_format format);

/* True when `from` unpacks to exactly `room` bytes. */
bool unpack(enum unpack_format format, const u8 *from, u64 bytes, u8 *to, u64 room) must_use;

#endif
