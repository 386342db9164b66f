/* SPDX-License-Identifier: MIT */
#include "hosts/linux/code_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/host.h"

/* By hand: the build's headers may be older than the host's kernel. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define CODE_PAGE_BYTES 4096

/* What was prepared; pieces are given from its start on, and the last one may be taken back. */
static struct host_code_memory all;
static size_t given_bytes;
static int names_fd = -1;

static int make_memfd(void)
{
	/*
	 * A file that nobody can exec, which says nothing of mappings: it is what vm.memfd_noexec asks for. Kernels before 6.3 do not
	 * know the flag.
	 */
	int fd = memfd_create("code", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	return fd < 0 && errno == EINVAL ? memfd_create("code", MFD_CLOEXEC | MFD_ALLOW_SEALING)
					 : fd;
}

/*
 * Neither of them is populated: pages that no code fills are not there. What is mapped after the first seal can never become writable,
 * not by mprotect either; kernels before 5.1 do not know it.
 */
static bool map_views(int fd, struct host_code_memory *memory)
{
	void *write, *execute;

	if (ftruncate(fd, (off_t)memory->bytes))
		return false;
	write = mmap(NULL, memory->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (write == MAP_FAILED)
		return false;
	fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	execute = mmap(NULL, memory->bytes, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	if (execute == MAP_FAILED) {
		int failure = errno;
		munmap(write, memory->bytes);
		errno = failure;
		return false;
	}
	memory->write = write;
	memory->execute = execute;
	return true;
}

static bool make_sealed_views(struct host_code_memory *memory)
{
	int fd = make_memfd();
	bool is_made = fd >= 0 && map_views(fd, memory);
	int failure = errno;

	if (fd >= 0)
		close(fd);
	errno = failure;
	return is_made;
}

/*
 * perf looks into its map only for code that has no file, and takes a memfd for one. So it gets shared memory without a name, whose second
 * view is mremap's copy; there is nothing to seal.
 */
static bool make_nameless_views(struct host_code_memory *memory)
{
	void *write = mmap(NULL, memory->bytes, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	void *execute =
		write == MAP_FAILED ? write : mremap(write, 0, memory->bytes, MREMAP_MAYMOVE);

	if (execute == MAP_FAILED || mprotect(execute, memory->bytes, PROT_READ | PROT_EXEC))
		return false;
	memory->write = write;
	memory->execute = execute;
	return true;
}

static enum status make_views(
	size_t bytes, bool for_perf, struct host_code_memory *memory, struct error *error)
{
	memory->bytes = (bytes + CODE_PAGE_BYTES - 1) & ~(size_t)(CODE_PAGE_BYTES - 1);
	if (for_perf ? make_nameless_views(memory) : make_sealed_views(memory))
		return STATUS_OK;
	memory->bytes = 0;
	return error_set(error, STATUS_UNSUPPORTED,
		"this host gives no memory for translated code: %s; --engine interp needs none",
		strerror(errno));
}

enum status code_memory_prepare(size_t bytes, int perf_fd, struct error *error)
{
	given_bytes = 0;
	names_fd = perf_fd;
	return make_views(bytes, perf_fd >= 0, &all, error);
}

enum status code_memory_probe(struct error *error)
{
	struct host_code_memory memory;
	enum status status = make_views(CODE_PAGE_BYTES, false, &memory, error);

	if (status != STATUS_OK)
		return status;
	munmap(memory.write, memory.bytes);
	munmap((void *)memory.execute, memory.bytes);
	return STATUS_OK;
}

bool host_code_memory_get(size_t bytes, struct host_code_memory *memory)
{
	size_t rounded = (bytes + CODE_PAGE_BYTES - 1) & ~(size_t)(CODE_PAGE_BYTES - 1);

	if (!bytes || rounded < bytes || rounded > all.bytes - given_bytes)
		return false;
	*memory = (struct host_code_memory){
		all.write + given_bytes, all.execute + given_bytes, rounded};
	given_bytes += rounded;
	return true;
}

void host_code_memory_put(struct host_code_memory *memory)
{
	if (memory->bytes && memory->write + memory->bytes == all.write + given_bytes)
		given_bytes -= memory->bytes;
	*memory = (struct host_code_memory){0};
}

bool host_code_naming_is_wanted(void)
{
	return names_fd >= 0;
}

/* A line of Linux' tools/perf/Documentation/jit-interface.txt; the file is open for appending, so lines of several threads stay whole. */
void host_code_named(const void *start, size_t bytes, const char *name)
{
	char line[300];
	int length;

	if (names_fd < 0)
		return;
	length =
		snprintf(line, sizeof(line), "%lx %zx %.200s\n", (unsigned long)start, bytes, name);
	ssize_t written = write(names_fd, line, (size_t)length);
	(void)written; /* a full disk costs names */
}
