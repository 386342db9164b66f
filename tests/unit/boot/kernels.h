/* SPDX-License-Identifier: MIT */
/* Tiny kernels of every kind, made byte by byte: what the loaders' tests begin with. */
#ifndef TESTS_UNIT_BOOT_KERNELS_H
#define TESTS_UNIT_BOOT_KERNELS_H

#include "base/memory.h"
#include "base/types.h"
#include "boot/loader.h"

#define KERNEL_BYTES_MAX 32768
#define KERNEL_START 0x200000 /* where segments go */

struct kernel {
	u8 bytes[KERNEL_BYTES_MAX];
	u64 size;
};

enum kernel_kind { KERNEL_LINUX_ELF, KERNEL_PVH, KERNEL_MULTIBOOT };

/* The i-th program header's place in the file. */
static inline u8 *kernel_header(struct kernel *kernel, bool is_64, unsigned i)
{
	return kernel->bytes + (is_64 ? 64 + 56 * i : 52 + 32 * i);
}

static inline void kernel_put_header(struct kernel *kernel, bool is_64, unsigned i, u32 type,
	u64 offset, u64 physical, u64 file_bytes, u64 memory_bytes)
{
	u8 *at = kernel_header(kernel, is_64, i);

	field_put_32(at, type);
	if (is_64) {
		field_put_64(at + 8, offset);
		field_put_64(at + 16, physical + 0xffffffff80000000);
		field_put_64(at + 24, physical);
		field_put_64(at + 32, file_bytes);
		field_put_64(at + 40, memory_bytes);
		return;
	}
	field_put_32(at + 4, (u32)offset);
	field_put_32(at + 8, (u32)physical + 0xc0000000);
	field_put_32(at + 12, (u32)physical);
	field_put_32(at + 16, (u32)file_bytes);
	field_put_32(at + 20, (u32)memory_bytes);
}

static inline void kernel_put_multiboot(u8 *at, u32 flags)
{
	field_put_32(at, 0x1badb002);
	field_put_32(at + 4, flags);
	field_put_32(at + 8, -0x1badb002 - flags);
}

/*
 * An ELF of two segments: text of 0x1000 bytes at KERNEL_START, from offset 0x1000, entry 0x40 in; data of 0x100 bytes and 0x2000 in memory
 * at KERNEL_START + 0x4000, from 0x2000. Its third header is a note at 0x2100.
 */
static inline void kernel_make_elf(struct kernel *kernel, bool is_64, enum kernel_kind kind)
{
	u8 *bytes = kernel->bytes, *note = bytes + 0x2100;

	memset(kernel, 0, sizeof(*kernel));
	memcpy(bytes, "\177ELF", 4);
	bytes[4] = is_64 ? 2 : 1;
	bytes[5] = 1;
	bytes[6] = 1;
	field_put_16(bytes + 16, 2);
	field_put_16(bytes + 18, is_64 ? 62 : 3);
	if (is_64) {
		field_put_64(bytes + 24, KERNEL_START + 0x40);
		field_put_64(bytes + 32, 64);
		field_put_16(bytes + 54, 56);
		field_put_16(bytes + 56, 3);
	} else {
		field_put_32(bytes + 24, KERNEL_START + 0x40);
		field_put_32(bytes + 28, 52);
		field_put_16(bytes + 42, 32);
		field_put_16(bytes + 44, 3);
	}
	kernel_put_header(kernel, is_64, 0, 1, 0x1000, KERNEL_START, 0x1000, 0x1000);
	kernel_put_header(kernel, is_64, 1, 1, 0x2000, KERNEL_START + 0x4000, 0x100, 0x2000);
	kernel_put_header(kernel, is_64, 2, 4, 0x2100, 0, 20, 0);
	memset(bytes + 0x1000, 0xf4, 0x1000);
	memset(bytes + 0x2000, 0xda, 0x100);
	if (kind == KERNEL_PVH) {
		field_put_32(note, 4);
		field_put_32(note + 4, 4);
		field_put_32(note + 8, 18);
		memcpy(note + 12, "Xen", 4);
		field_put_32(note + 16, KERNEL_START + 0x80);
	}
	if (kind == KERNEL_MULTIBOOT)
		kernel_put_multiboot(bytes + 0x1000, 3);
	kernel->size = 0x2114;
}

/* A flat multiboot kernel: header at 0x20, the file from 0x10 on goes to KERNEL_START. */
static inline void kernel_make_flat(struct kernel *kernel)
{
	u8 *header = kernel->bytes + 0x20;

	memset(kernel, 0, sizeof(*kernel));
	kernel_put_multiboot(header, 0x10003);
	field_put_32(header + 12, KERNEL_START + 0x10);
	field_put_32(header + 16, KERNEL_START);
	field_put_32(header + 20, KERNEL_START + 0xff0);
	field_put_32(header + 24, KERNEL_START + 0x3000);
	field_put_32(header + 28, KERNEL_START + 0x100);
	memset(kernel->bytes + 0x40, 0x90, 0xfc0);
	kernel->size = 0x1000;
}

/* A bzImage of protocol 2.15: setup of 2 sectors and the boot sector, 0x1000 bytes of protected-mode code. */
static inline void kernel_make_bzimage(struct kernel *kernel, bool is_64)
{
	u8 *bytes = kernel->bytes;

	memset(kernel, 0, sizeof(*kernel));
	bytes[0x1f1] = 2;
	field_put_32(bytes + 0x1f4, 0x100);
	field_put_16(bytes + 0x1fe, 0xaa55);
	bytes[0x200] = 0xeb;
	bytes[0x201] = 0x6a;
	memcpy(bytes + 0x202, "HdrS", 4);
	field_put_16(bytes + 0x206, 0x020f);
	bytes[0x211] = 1;
	field_put_32(bytes + 0x214, 0x100000);
	field_put_32(bytes + 0x22c, 0x7fffffff);
	field_put_32(bytes + 0x230, 0x200000);
	bytes[0x234] = 1;
	field_put_16(bytes + 0x236, is_64 ? 0x7f : 4);
	field_put_32(bytes + 0x238, 2047);
	field_put_64(bytes + 0x258, KERNEL_START);
	field_put_32(bytes + 0x260, 0x10000);
	memset(bytes + 0x600, 0x90, 0x1000);
	kernel->size = 0x1600;
}

#endif
