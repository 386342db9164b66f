/* SPDX-License-Identifier: MIT */
/*
 * What memory and the first processor hold when the guest starts, in place of a firmware: a kernel by one of four
 * protocols, its initrd, its command line, ACPI tables and the memory map.
 *
 * Everything in the images is hostile: whatever they hold, the answer is a started guest or one line of error.
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include "base/status.h"
#include "base/types.h"
#include "boot/acpi/acpi.h"

struct cpu;
struct machine;

/* Not owned; they must stay as they are for as long as the machine may be reset. */
struct boot_images {
	const u8 *
		kernel; /* the file: bzImage, ELF or multiboot; with a payload its setup part is enough */
	u64 kernel_bytes;
	const u8 *payload; /* a bzImage's unpacked vmlinux; NULL: the guest unpacks it itself */
	u64 payload_bytes;
	const u8 *initrd; /* NULL: none */
	u64 initrd_bytes;
	const char *command_line; /* never NULL */
};

enum boot_mode {
	BOOT_PROTECTED_32, /* flat segments, no paging */
	BOOT_LONG_64,	   /* flat segments, paging by cr3 */
};

/* The state of the first processor; what is not here is as after cpu_reset. */
struct boot_entry {
	enum boot_mode mode;
	u64 rip;
	u64 rax, rbx, rsi;
	u64 cr3; /* BOOT_LONG_64: identity page tables for the first 4 GiB */
	u64 gdt; /* null, null, code (0x10), data (0x18), task (0x20) */
	u16 gdt_limit;
};

/*
 * Loads everything into the machine's RAM; again at each reset. Nothing of what RAM held before is relied on, nor kept.
 * After a failure RAM is undefined, and error names the file (kernel or initrd), what is wrong and what to do.
 */
enum status boot_load(struct machine *machine, const struct boot_images *images,
	const struct acpi_platform *platform, struct boot_entry *entry,
	struct error *error) must_use;

/* What firmware leaves behind in every processor; boot_apply does it for the first. */
void boot_prepare(struct cpu *cpu);
/* cpu is as cpu_reset left it. */
void boot_apply(struct cpu *cpu, const struct boot_entry *entry);

#endif
