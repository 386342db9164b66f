/* SPDX-License-Identifier: MIT */
/*
 * A random blob of 1 MiB as an ELF kernel: valid headers, and behind them random bytes, or random valid encodings, as the kernel's code.
 * It is loaded by the loaders that all kernels take, on a machine of its own, and runs until the machine ends or some million
 * instructions are done; so do the resets that it brings about.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "boards/pc.h"
#include "boot/boot.h"
#include "hosts/fake/fake.h"
#include "tests/hostile/hostile.h"
#include "tests/unit/boot/kernels.h"
#include "x86/model.h"

#define RAM_BYTES (16 * MIB)
#define BLOB_BYTES MIB
#define KERNEL_BYTES (BLOB_BYTES + 0x1000)
#define RUN_INSNS 1000000
#define RESETTING_INSNS 5000 /* each reset loads the blob anew */

static u8 kernel[KERNEL_BYTES];
static struct boot_images images = {
	.kernel = kernel, .kernel_bytes = KERNEL_BYTES, .command_line = ""};

static size_t take_output(void *context, const u8 *from, size_t bytes)
{
	return bytes;
}

static void resume_input(void *context) {}

static bool load_boot(struct machine *machine, void *context)
{
	struct acpi_platform platform = pc_acpi_platform(machine);
	struct boot_entry entry;
	struct error error;

	if (boot_load(machine, &images, &platform, &entry, &error) != STATUS_OK) {
		fprintf(stderr, "blob: %s\n", error.text);
		abort();
	}
	boot_apply(&machine->vcpus[0]->cpu, &entry);
	return true;
}

/* ELF header, one segment of all of the blob, and for PVH a note within it. */
static void make_headers(bool is_64, enum kernel_kind kind)
{
	static struct kernel made;
	unsigned headers = is_64 ? 64 + 3 * 56 : 52 + 3 * 32;

	kernel_make_elf(&made, is_64, kind);
	kernel_put_header(&made, is_64, 0, 1, 0x1000, KERNEL_START, BLOB_BYTES, BLOB_BYTES);
	kernel_put_header(&made, is_64, 1, 0, 0, 0, 0, 0);
	kernel_put_header(&made, is_64, 2, 4, 0x800, 0, 20, 0);
	memcpy(kernel, made.bytes, headers);
	memcpy(kernel + 0x800, made.bytes + 0x2100, 20);
	if (kind == KERNEL_MULTIBOOT)
		kernel_put_multiboot(kernel + 0x1000, 3);
}

/* ---- a blob that lives on: every exception goes on at another random place ---- */

#define STUB 0x100
#define IDTR 0x200
#define COUNTER 0x210
#define RANDOM_CODE 0x10000 /* and half a MiB from there */
#define IDT 0x90000
#define STACK (KERNEL_START + 0xf0000)

struct stub {
	u8 *to;
	bool is_64;
};

static void put(struct stub *stub, const void *bytes, size_t length)
{
	memcpy(stub->to, bytes, length);
	stub->to += length;
}

/* A place in the blob, as ModRM's 32 bits: absolute, or relative to the instruction's end, `rest` bytes on. */
static void put_place(struct stub *stub, u32 place, unsigned rest)
{
	u32 value = KERNEL_START + place;

	if (stub->is_64)
		value = place - (u32)(stub->to + 4 + rest - (kernel + 0x1000));
	put(stub, &value, 4);
}

static void put_32(struct stub *stub, u32 value)
{
	put(stub, &value, 4);
}

static u32 make_stub(bool is_64)
{
	struct stub stub = {kernel + 0x1000 + STUB, is_64};
	u32 handler;

	put(&stub, "\x0f\x01\x1d", 3); /* LIDT */
	put_place(&stub, IDTR, 0);
	handler = (u32)(stub.to - (kernel + 0x1000));
	put(&stub, "\xbc", 1); /* MOV ESP, stack */
	put_32(&stub, STACK);
	put(&stub, "\x81\x05", 2); /* ADD dword [counter], .. */
	put_place(&stub, COUNTER, 4);
	put_32(&stub, 0x9e3779b1);
	put(&stub, "\x8b\x05", 2); /* MOV EAX, [counter] */
	put_place(&stub, COUNTER, 0);
	put(&stub, "\x25\xff\xff\x07\x00\x05", 6); /* AND EAX, 7ffff; ADD EAX, .. */
	put_32(&stub, KERNEL_START + RANDOM_CODE);
	put(&stub, "\xff\xe0", 2); /* JMP rAX */
	return KERNEL_START + handler;
}

static void make_living(bool is_64)
{
	u8 *base = kernel + 0x1000, *idtr = base + IDTR;
	u32 handler = make_stub(is_64);
	unsigned gate_bytes = is_64 ? 16 : 8;

	/* JMP to the stub, from both entries. */
	base[0x40] = base[0x80] = 0xe9;
	field_put_32(base + 0x41, STUB - 0x45);
	field_put_32(base + 0x81, STUB - 0x85);
	memset(idtr, 0, 16);
	field_put_16(idtr, 0xfff);
	field_put_32(idtr + 2, KERNEL_START + IDT);
	memset(base + IDT, 0, 0x1000);
	for (unsigned i = 0; i < 256; i++) {
		u8 *gate = base + IDT + i * gate_bytes;

		field_put_32(gate, 0x100000 | (handler & 0xffff));
		field_put_32(gate + 4, (handler & 0xffff0000) | 0x8e00);
	}
}

static void make_blob(struct random *random, unsigned code_size, u64 features)
{
	bool valid = random_one_in(random, 2), living = !random_one_in(random, 4);

	random_fill(random, kernel + 0x1000, BLOB_BYTES);
	for (size_t at = 0x1040; valid && at < 0xa0000;)
		at += encode_random(random, code_size, features, kernel + at);
	if (living)
		make_living(code_size == SIZE_64);
}

static void run_blob(u64 seed, u64 number)
{
	static struct machine machine;
	struct random random = {seed * 0x1000003 + number};
	bool is_64 = number & 1;
	enum kernel_kind kind = (number >> 1) % 3;
	unsigned code_size = is_64 && kind == KERNEL_LINUX_ELF ? SIZE_64 : SIZE_32;
	struct console_device console;
	struct machine_parameters parameters = {.engine = hostile_engine,
		.translate_after = 1,
		.ram = host_memory_get(RAM_BYTES),
		.ram_bytes = RAM_BYTES,
		.clock = CLOCK_INSTRUCTIONS,
		.tsc_hz = 1000000000,
		.wall_start_ns = 1735689600000000000,
		.no_reboot = number % 16 != 0,
		.model = cpu_model_best(cpu_host_features()),
		.vcpu_count = 1};
	struct pc_parameters board = {
		.console = {.write = take_output, .resume_input = resume_input},
		.load_boot = load_boot,
		.has_exit_port = true};

	fake_reset();
	memset(kernel, 0, 0x1000);
	make_blob(&random, code_size, parameters.model->features);
	make_headers(is_64, kind);
	memset(&machine, 0, sizeof(machine));
	if (!parameters.ram || machine_init(&machine, &parameters) != STATUS_OK ||
		pc_create(&machine, &board, &console) != STATUS_OK)
		abort();
	clock_start(&machine.clock);
	machine.reset(&machine);
	vcpu_run_insns(machine.vcpus[0], machine.no_reboot ? RUN_INSNS : RESETTING_INSNS);
	if (!cpu_state_is_valid(&machine.vcpus[0]->cpu) || machine.exit == MACHINE_FAULT)
		abort();
	if (getenv("VERBOSE"))
		fprintf(stderr, "case %lu: exit %u after %lu\n", number, machine.exit,
			clock_now_ns(&machine.clock));
	pc_destroy(&machine);
	machine_fini(&machine);
	host_memory_put(parameters.ram, RAM_BYTES);
}

int main(int argc, char **argv)
{
	static const struct hostile_program program = {"blob", 30, run_blob};

	return hostile_main(argc, argv, &program);
}
