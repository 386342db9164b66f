/* SPDX-License-Identifier: MIT */
/*
 * A runner that its guest has taken over: lodge-vm with these functions linked around its own (-Wl,--wrap). The guest says which thread
 * is to try what (escapes.def, by number): a write to the exit port is the vCPU's; "ESCAPE n" in serial output is the console writer's, in
 * input the loop's, in what gdb sends the gdb thread's, on the command line the first thread's while it loads the guest. The process ends with 65 if the kernel did
 * it, with 66 if it said no; what is not on the thread's list kills it.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "boot/boot.h"
#include "core/machine.h"
#include "hosts/linux/code_memory.h"
#include "hosts/linux/sandbox/layers.h"

/* tests/sandbox/run listens on them. */
#define LOCAL_PORT 42617
#define LOCAL_NAME "lodge-escape"

enum escape_number {
#define ESCAPE(name, expression) ESCAPE_##name,
#include "tests/sandbox/escapes.def"
#undef ESCAPE
};

enum { IS_ALLOWED = 65, IS_REFUSED = 66, IS_UNKNOWN = 67 };

void __real_machine_end(struct machine *machine, enum machine_exit why, u8 value);
void __wrap_machine_end(struct machine *machine, enum machine_exit why, u8 value);
enum status __real_boot_load(struct machine *machine, const struct boot_images *images,
	const struct acpi_platform *platform, struct boot_entry *entry, struct error *error);
enum status __wrap_boot_load(struct machine *machine, const struct boot_images *images,
	const struct acpi_platform *platform, struct boot_entry *entry, struct error *error);
ssize_t __real_read(int fd, void *to, size_t bytes);
ssize_t __wrap_read(int fd, void *to, size_t bytes);
ssize_t __real_write(int fd, const void *from, size_t bytes);
ssize_t __wrap_write(int fd, const void *from, size_t bytes);
ssize_t __real_recv(int fd, void *to, size_t bytes, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t bytes, int flags);
bool __wrap_syscalls_enter(enum sandbox_role role);
void __real_sandbox_enter_role(enum sandbox_role role);
void __wrap_sandbox_enter_role(enum sandbox_role role);

static _Alignas(4096) char buffer[4096];
static char *arguments[] = {(char *)"true", NULL};
static pid_t front;
static struct host_code_memory code;
static struct rlimit many = {4096, 4096};

__attribute__((constructor)) static void remember_the_front(void)
{
	front = getppid();
}

/* Whatever the engine. */
__attribute__((constructor)) static void have_code(void)
{
	struct error error;

	if (code_memory_prepare(4096, -1, &error) != STATUS_OK ||
		!host_code_memory_get(4096, &code))
		_exit(IS_UNKNOWN);
}

static long raw_call(long number, long a, long b, long c, long d, long e, long f)
{
	long result = syscall(number, a, b, c, d, e, f);
	return result < 0 ? -errno : result;
}
#define raw(...) RAW_7(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define RAW_7(number, a, b, c, d, e, f, ...) \
	raw_call(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* A child that there should not be ends at once. */
static long in_child(long pid)
{
	if (!pid)
		_exit(0);
	return pid;
}

static long list_root(void)
{
	long fd = raw(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
	return fd < 0 ? fd : raw(SYS_getdents64, fd, buffer, sizeof(buffer));
}

static long reach_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(LOCAL_PORT),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	long fd = raw(SYS_socket, AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? fd : raw(SYS_connect, fd, &address, sizeof(address));
}

static long reach_abstract_name(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	long fd = raw(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
	memcpy(address.sun_path + 1, LOCAL_NAME, sizeof(LOCAL_NAME) - 1);
	return fd < 0 ? fd
		      : raw(SYS_connect, fd, &address,
				offsetof(struct sockaddr_un, sun_path) + sizeof(LOCAL_NAME));
}

static long read_anothers_memory(void)
{
	struct iovec here = {buffer, 16}, there = {(void *)0x400000, 16};
	return raw(SYS_process_vm_readv, front, &here, 1, &there, 1, 0);
}

static long code_page(void)
{
	return (long)&syscall & ~4095l;
}

/* open("/etc/passwd") by the 32-bit way in; a pointer of 32 bits is no hindrance in a static program. */
static long call_as_32_bit(void)
{
	long result;
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "0"(5l), "b"("/etc/passwd"), "c"(0l), "d"(0l)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}

static long attempt(unsigned number)
{
	switch (number) {
#define ESCAPE(name, expression) \
	case ESCAPE_##name:      \
		return expression;
#include "tests/sandbox/escapes.def"
#undef ESCAPE
	default:
		_exit(IS_UNKNOWN);
	}
}

_Noreturn static void escape(unsigned number)
{
	char line[64];
	long result = attempt(number);
	int length = snprintf(line, sizeof(line), "escape %u: %ld\n", number, result);
	__real_write(2, line, (size_t)length);
	_exit(result < 0 ? IS_REFUSED : IS_ALLOWED);
}

static void look_for_order(const char *text, size_t bytes)
{
	const char *order = memmem(text, bytes, "ESCAPE ", 7);
	if (order)
		escape((unsigned)atoi(order + 7));
}

void __wrap_machine_end(struct machine *machine, enum machine_exit why, u8 value)
{
	if (why == MACHINE_EXIT_PORT)
		escape(value);
	__real_machine_end(machine, why, value);
}

enum status __wrap_boot_load(struct machine *machine, const struct boot_images *images,
	const struct acpi_platform *platform, struct boot_entry *entry, struct error *error)
{
	look_for_order(images->command_line, strlen(images->command_line) + 1);
	return __real_boot_load(machine, images, platform, entry, error);
}

ssize_t __wrap_read(int fd, void *to, size_t bytes)
{
	ssize_t got = __real_read(fd, to, bytes);
	if (fd == 0 && got > 0)
		look_for_order(to, (size_t)got);
	return got;
}

/* The guest writes it byte by byte: what the writer thread takes may be parts of it. */
ssize_t __wrap_write(int fd, const void *from, size_t bytes)
{
	static char line[64];
	static size_t length;
	if (fd == 1) {
		for (size_t i = 0; i < bytes && length < sizeof(line) - 1; i++)
			line[length++] = ((const char *)from)[i];
		if (memchr(line, '\n', length))
			look_for_order(line, length);
	}
	return __real_write(fd, from, bytes);
}

ssize_t __wrap_recv(int fd, void *to, size_t bytes, int flags)
{
	ssize_t got = __real_recv(fd, to, bytes, flags);
	if (got > 0)
		look_for_order(to, (size_t)got);
	return got;
}

/* The first thread is late: the guest must not run before it has locked itself in, too. */
void __wrap_sandbox_enter_role(enum sandbox_role role)
{
	if (role == SANDBOX_LOOP)
		usleep(20000);
	__real_sandbox_enter_role(role);
}

/* Only in the build that shows what the other layers hold alone. */
bool __wrap_syscalls_enter(enum sandbox_role role)
{
	return true;
}
