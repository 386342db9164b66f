/* SPDX-License-Identifier: MIT */
/* Real code memory in two views, since tests execute what they have translated. */
#include <asm/prctl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "core/host.h"
#include "hosts/fake/fake.h"

bool host_code_memory_get(size_t bytes, struct host_code_memory *memory)
{
	size_t rounded = (bytes + 4095) & ~(size_t)4095;
	void *write = MAP_FAILED, *execute = MAP_FAILED;
	int fd;

	if (!bytes || !fake_allocations_left)
		return false;
	if (fake_allocations_left != ~0u)
		fake_allocations_left--;
	fd = memfd_create("code", MFD_CLOEXEC);
	if (fd >= 0 && !ftruncate(fd, (off_t)rounded)) {
		write = mmap(NULL, rounded, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		execute = mmap(NULL, rounded, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	}
	check(write != MAP_FAILED && execute != MAP_FAILED); /* no test runs here */
	close(fd);
	*memory = (struct host_code_memory){write, execute, rounded};
	return true;
}

void host_code_memory_put(struct host_code_memory *memory)
{
	if (memory->bytes) {
		munmap(memory->write, memory->bytes);
		munmap((void *)memory->execute, memory->bytes);
	}
	*memory = (struct host_code_memory){0};
}

void host_thread_base_set(void *base)
{
	check(!syscall(SYS_arch_prctl, ARCH_SET_GS, base));
}

bool host_code_naming_is_wanted(void)
{
	return fake_wants_code_named;
}

void host_code_named(const void *start, size_t bytes, const char *name)
{
	if (fake_wants_code_named)
		snprintf(fake_last_code_name, sizeof(fake_last_code_name), "%s", name);
}
