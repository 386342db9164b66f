/* SPDX-License-Identifier: MIT */
/*
 * The kernel loaders. The first byte says what the rest is: 0x80 a kernel as it stands, and else patches (offset of two bytes, value) to one
 * of the unit tests' kernels, which leads past the first checks at once. Bits 4 and 5: an initrd, another kernel as the payload.
 */
#include <stdlib.h>
#include <string.h>

#include "core/machine.h"
#include "tests/unit/boot/kernels.h"

#define RAM_BYTES (8 * MIB)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static const struct acpi_platform platform = {.cpu_count = 1, .sci_irq = 9};
static struct machine machine;
static struct kernel kernel, payload;

static void make(unsigned kind)
{
	switch (kind) {
	case 0 ... 5:
		kernel_make_elf(&kernel, kind & 1, kind / 2);
		break;
	case 6:
		kernel_make_flat(&kernel);
		break;
	default:
		kernel_make_bzimage(&kernel, kind & 1);
	}
}

static void patch(const u8 *data, size_t size)
{
	for (; size >= 3; data += 3, size -= 3) {
		unsigned at = data[0] | data[1] << 8;
		struct kernel *which = at & 0x8000 ? &payload : &kernel;

		at &= KERNEL_BYTES_MAX - 1;
		if (at == KERNEL_BYTES_MAX - 1)
			which->size = which->size * data[2] / 256;
		else
			which->bytes[at] = data[2];
	}
}

/* Exactly sized, so that the sanitizer sees a read past the end. */
static u8 *copy(const void *from, u64 size)
{
	u8 *to = malloc(size ? size : 1);

	if (!to)
		abort();
	memcpy(to, from, size);
	return to;
}

static void start(void)
{
	u8 *ram = host_memory_get(RAM_BYTES);

	if (!ram || memory_init(&machine.memory, ram, RAM_BYTES) != STATUS_OK)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct boot_images images = {.command_line = "console=ttyS0"};
	struct boot_entry entry;
	struct error error;
	u8 *kernel_copy, *payload_copy;

	if (!machine.memory.host)
		start();
	if (!size)
		return 0;
	kernel_make_elf(&payload, data[0] & 1, KERNEL_LINUX_ELF);
	make(data[0] & 7);
	if (!(data[0] & 0x80))
		patch(data + 1, size - 1);
	images.kernel_bytes = data[0] & 0x80 ? size - 1 : kernel.size;
	kernel_copy = copy(data[0] & 0x80 ? data + 1 : kernel.bytes, images.kernel_bytes);
	payload_copy = copy(payload.bytes, payload.size);
	images.kernel = kernel_copy;
	if (data[0] & 0x10) {
		images.initrd = data;
		images.initrd_bytes = size;
	}
	if (data[0] & 0x20) {
		images.payload = payload_copy;
		images.payload_bytes = payload.size;
	}
	if (boot_load(&machine, &images, &platform, &entry, &error) == STATUS_OK) {
		if (!memory_host(&machine.memory, entry.rip, 1))
			abort();
	} else if (!error.text[0]) {
		abort();
	}
	free(kernel_copy);
	free(payload_copy);
	return 0;
}
