/* SPDX-License-Identifier: MIT */
/*
 * Where host_code_memory_get's memory comes from on Linux: one memfd, mapped twice while that is still allowed. Afterwards the sandbox
 * lets no thread make memory executable, and the kernel lets nobody make the executable view writable.
 */
#ifndef HOSTS_LINUX_CODE_MEMORY_H
#define HOSTS_LINUX_CODE_MEMORY_H

#include "base/status.h"
#include "base/types.h"

/*
 * Before sandbox_enter, once: all that host_code_memory_get will give. A failure says what the host lacks. perf_fd: where
 * host_code_named writes for perf, or -1.
 */
enum status code_memory_prepare(size_t bytes, int perf_fd, struct error *error) must_use;

/* Does this host allow it at all? Leaves nothing behind. */
enum status code_memory_probe(struct error *error) must_use;

#endif
