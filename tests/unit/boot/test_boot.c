/* SPDX-License-Identifier: MIT */
/* The loaders: every protocol's way in, and every way in which a file can be wrong. */
#include "base/bits.h"
#include "base/text.h"
#include "boot/elf.h"
#include "core/machine.h"
#include "tests/unit/boot/kernels.h"
#include "tests/unit/unit.h"
#include "x86/cpu.h"
#include "x86/fpu.h"

#define RAM_BYTES (8 * MIB)

static struct machine machine;
static struct kernel kernel;
static struct kernel payload;
static u8 initrd[5000];
static struct boot_images images;
static struct boot_entry entry;
static struct error error;
static const struct acpi_platform platform = {
	.cpu_count = 2,
	.lapic_address = 0xfee00000,
	.ioapic_address = 0xfec00000,
	.sci_irq = 9,
	.pm1_event_port = 0x600,
	.pm1_control_port = 0x604,
	.pm_timer_port = 0x608,
	.s5_sleep_type = 5,
	.reset_port = 0xcf9,
	.reset_value = 6,
	.serial_port = 0x3f8,
	.serial_irq = 4,
	.has_rtc = true,
	.has_pit = true,
	.has_i8042 = true,
};

static int set_up(void **state)
{
	u8 *ram = host_memory_get(RAM_BYTES);

	memset(&machine, 0, sizeof(machine));
	assert_non_null(ram);
	memset(ram, 0xa5, RAM_BYTES);
	assert_int_equal(memory_init(&machine.memory, ram, RAM_BYTES), STATUS_OK);
	memset(initrd, 0x1d, sizeof(initrd));
	images = (struct boot_images){.kernel = kernel.bytes, .command_line = "console=ttyS0"};
	memset(&entry, 0, sizeof(entry));
	error.text[0] = 0;
	return 0;
}

static int tear_down(void **state)
{
	u8 *ram = machine.memory.host;

	memory_fini(&machine.memory);
	host_memory_put(ram, RAM_BYTES);
	return 0;
}

/* From an exactly sized copy, so that the sanitizer sees a read past the end. */
static enum status load(void)
{
	u8 *copy = malloc(kernel.size ? kernel.size : 1);
	enum status status;

	memcpy(copy, kernel.bytes, kernel.size);
	images.kernel = copy;
	images.kernel_bytes = kernel.size;
	status = boot_load(&machine, &images, &platform, &entry, &error);
	free(copy);
	images.kernel = kernel.bytes;
	return status;
}

static void expect_failure(enum status status, const char *part)
{
	error.text[0] = 0;
	assert_int_equal(load(), status);
	if (!strstr(error.text, part))
		fail_msg("'%s' does not say '%s'", error.text, part);
}

static void give_initrd(void)
{
	images.initrd = initrd;
	images.initrd_bytes = sizeof(initrd);
}

static const u8 *guest(u64 gpa, u64 bytes)
{
	const u8 *at = memory_host(&machine.memory, gpa, bytes);

	assert_non_null(at);
	return at;
}

static u32 guest_32(u64 gpa)
{
	return field_get_32(guest(gpa, 4));
}

static u64 guest_64(u64 gpa)
{
	return field_get_64(guest(gpa, 8));
}

/* The two segments lie where they should, the second one's rest cleared. */
static void expect_segments(void)
{
	assert_memory_equal(guest(KERNEL_START, 0x1000), kernel.bytes + 0x1000, 0x1000);
	assert_memory_equal(guest(KERNEL_START + 0x4000, 0x100), kernel.bytes + 0x2000, 0x100);
	for (unsigned i = 0x100; i < 0x2000; i++)
		assert_int_equal(*guest(KERNEL_START + 0x4000 + i, 1), 0);
	assert_int_equal(*guest(KERNEL_START + 0x6000, 1), 0xa5);
}

static void expect_initrd(u64 at)
{
	assert_int_equal(at % 4096, 0);
	assert_memory_equal(guest(at, sizeof(initrd)), initrd, sizeof(initrd));
	assert_int_equal(at, align_down(RAM_BYTES - sizeof(initrd), 4096));
}

static void a_pvh_elf_gets_its_start_info(void **state)
{
	kernel_make_elf(&kernel, true, KERNEL_PVH);
	give_initrd();
	assert_int_equal(load(), STATUS_OK);
	expect_segments();
	assert_int_equal(entry.mode, BOOT_PROTECTED_32);
	assert_int_equal(entry.rip, KERNEL_START + 0x80);
	assert_int_equal(guest_32(entry.rbx), 0x336ec578);
	assert_int_equal(guest_32(entry.rbx + 4), 1);
	assert_int_equal(guest_32(entry.rbx + 12), 1);
	expect_initrd(guest_64(guest_64(entry.rbx + 16)));
	assert_int_equal(guest_64(guest_64(entry.rbx + 16) + 8), sizeof(initrd));
	assert_string_equal(guest(guest_64(entry.rbx + 24), 14), "console=ttyS0");
	assert_memory_equal(guest(guest_64(entry.rbx + 32), 8), "RSD PTR ", 8);
	assert_int_equal(guest_32(entry.rbx + 48), 4);
	/* Its last range is the RAM from 1 MiB on. */
	assert_int_equal(guest_64(guest_64(entry.rbx + 40) + 3 * 24), 0x100000);
	assert_int_equal(guest_64(guest_64(entry.rbx + 40) + 3 * 24 + 8), RAM_BYTES - 0x100000);
}

static void a_multiboot_elf_gets_its_information(void **state)
{
	kernel_make_elf(&kernel, false, KERNEL_MULTIBOOT);
	give_initrd();
	assert_int_equal(load(), STATUS_OK);
	expect_segments();
	assert_int_equal(entry.mode, BOOT_PROTECTED_32);
	assert_int_equal(entry.rip, KERNEL_START + 0x40);
	assert_int_equal(entry.rax, 0x2badb002);
	assert_int_equal(guest_32(entry.rbx), 0x24d);
	assert_int_equal(guest_32(entry.rbx + 4), 639);
	assert_int_equal(guest_32(entry.rbx + 8), (RAM_BYTES - 0x100000) / 1024);
	assert_string_equal(guest(guest_32(entry.rbx + 16), 21), "kernel console=ttyS0");
	assert_int_equal(guest_32(entry.rbx + 20), 1);
	expect_initrd(guest_32(guest_32(entry.rbx + 24)));
	assert_string_equal(guest(guest_32(guest_32(entry.rbx + 24) + 8), 1), "");
	assert_int_equal(guest_32(entry.rbx + 44), 4 * 24);
	assert_int_equal(guest_32(guest_32(entry.rbx + 48)), 20);
	assert_string_equal(guest(guest_32(entry.rbx + 64), 6), "lodge");
}

static void a_flat_multiboot_kernel_goes_where_its_header_says(void **state)
{
	kernel_make_flat(&kernel);
	assert_int_equal(load(), STATUS_OK);
	assert_int_equal(entry.rip, KERNEL_START + 0x100);
	assert_memory_equal(guest(KERNEL_START, 0xff0), kernel.bytes + 0x10, 0xff0);
	assert_int_equal(*guest(KERNEL_START + 0xff0, 1), 0);
	assert_int_equal(*guest(KERNEL_START + 0x2fff, 1), 0);
	assert_int_equal(*guest(KERNEL_START + 0x3000, 1), 0xa5);
	assert_int_equal(guest_32(entry.rbx + 20), 0);
}

static void expect_zero_page(enum boot_mode mode, u64 rip)
{
	u64 page = entry.rsi;

	assert_int_equal(entry.mode, mode);
	assert_int_equal(entry.rip, rip);
	assert_int_equal(page % 4096, 0);
	assert_int_equal(*guest(page + 0x210, 1), 0xff);
	assert_int_equal(*guest(page + 0x211, 1) & 3, 1);
	assert_int_equal(*guest(page + 0x1ef, 1), 0);
	assert_string_equal(guest(guest_32(page + 0x228), 14), "console=ttyS0");
	assert_memory_equal(guest(guest_64(page + 0x70), 8), "RSD PTR ", 8);
	assert_int_equal(*guest(page + 0x1e8, 1), 4);
	assert_int_equal(guest_64(page + 0x2d0 + 3 * 20), 0x100000);
	assert_int_equal(guest_32(page + 0x2d0 + 3 * 20 + 16), 1);
}

static void a_linux_elf_gets_boot_params_and_long_mode(void **state)
{
	kernel_make_elf(&kernel, true, KERNEL_LINUX_ELF);
	give_initrd();
	assert_int_equal(load(), STATUS_OK);
	expect_segments();
	expect_zero_page(BOOT_LONG_64, KERNEL_START + 0x40);
	expect_initrd(guest_32(entry.rsi + 0x218));
	assert_int_equal(guest_32(entry.rsi + 0x21c), sizeof(initrd));
	/* The last 2 MiB below 4 GiB, by hand. */
	u64 directory = guest_64(guest_64(entry.cr3) - 3 + 3 * 8) - 3;

	assert_int_equal(guest_64(directory + 511 * 8), 0xffe00083);
	assert_int_equal(guest_64(entry.gdt + 0x10), 0x00af9b000000ffff);
}

static void a_packed_bzimage_is_entered_by_its_64_bit_entry(void **state)
{
	kernel_make_bzimage(&kernel, true);
	assert_int_equal(load(), STATUS_OK);
	expect_zero_page(BOOT_LONG_64, KERNEL_START + 0x200);
	assert_memory_equal(guest(KERNEL_START, 0x1000), kernel.bytes + 0x600, 0x1000);
	assert_int_equal(guest_32(entry.rsi + 0x218), 0);
}

static void a_32_bit_bzimage_is_entered_by_code32(void **state)
{
	kernel_make_bzimage(&kernel, false);
	assert_int_equal(load(), STATUS_OK);
	expect_zero_page(BOOT_PROTECTED_32, KERNEL_START);
	assert_int_equal(guest_64(entry.gdt + 0x10), 0x00cf9b000000ffff);
}

static void an_unpacked_payload_is_loaded_in_place_of_the_packed_one(void **state)
{
	for (unsigned is_64 = 0; is_64 < 2; is_64++) {
		kernel_make_elf(&kernel, is_64, KERNEL_LINUX_ELF);
		payload = kernel;
		kernel_make_bzimage(&kernel, is_64);
		kernel.size = 0x600;
		images.payload = payload.bytes;
		images.payload_bytes = payload.size;
		assert_int_equal(load(), STATUS_OK);
		expect_zero_page(is_64 ? BOOT_LONG_64 : BOOT_PROTECTED_32, KERNEL_START + 0x40);
		assert_int_equal(*guest(KERNEL_START, 1), 0xf4);
	}
}

static void init_size_is_room_that_the_kernel_must_have(void **state)
{
	kernel_make_bzimage(&kernel, true);
	field_put_32(kernel.bytes + 0x260, RAM_BYTES - KERNEL_START - 4096);
	assert_int_equal(load(), STATUS_OK);
	give_initrd();
	/* It does not fit above any more, but below. */
	assert_int_equal(load(), STATUS_OK);
	assert_true(guest_32(entry.rsi + 0x218) < KERNEL_START);
	field_put_32(kernel.bytes + 0x260, RAM_BYTES);
	expect_failure(STATUS_TOO_BIG, "needs at least 10 MiB");
}

static void bad_segments_are_named(void **state)
{
	static const struct {
		u64 physical, file_bytes, memory_bytes;
		enum status status;
		const char *text;
	} cases[] = {
		{KERNEL_START + 0xfff, 0x100, 0x2000, STATUS_INVALID, "overlap"},
		{KERNEL_START - 0xfff, 0x100, 0x1000, STATUS_INVALID, "overlap"},
		{0xffffffffffffff00, 0x100, 0x2000, STATUS_INVALID, "past all addresses"},
		{RAM_BYTES - 0x1000, 0x100, 0x1001, STATUS_TOO_BIG, "9 MiB"},
		{0xbffff000, 0x100, 0x2000, STATUS_INVALID, "where no memory can be"},
		{0x100000000, 0x100, 0x2000, STATUS_INVALID, "where no memory can be"},
		{0x9000, 0x100, 0x2000, STATUS_UNSUPPORTED, "below 1 MiB"},
		{KERNEL_START + 0x4000, 0x100, 0xff, STATUS_INVALID, "larger in the file"},
		{KERNEL_START + 0x4000, 0x1000, 0x2000, STATUS_INVALID, "truncated"},
		{KERNEL_START + 0x4000, 0x100, ~(u64)0, STATUS_INVALID, "past all addresses"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		kernel_make_elf(&kernel, true, KERNEL_PVH);
		kernel_put_header(&kernel, true, 1, 1, 0x2000, cases[i].physical,
			cases[i].file_bytes, cases[i].memory_bytes);
		expect_failure(cases[i].status, cases[i].text);
	}
}

static void an_entry_outside_of_the_kernel_is_refused(void **state)
{
	kernel_make_elf(&kernel, true, KERNEL_LINUX_ELF);
	field_put_64(kernel.bytes + 24, KERNEL_START + 0x1000);
	expect_failure(STATUS_INVALID, "entry");
	kernel_make_elf(&kernel, true, KERNEL_PVH);
	field_put_32(kernel.bytes + 0x2110, 0x1000);
	expect_failure(STATUS_INVALID, "PVH entry");
	kernel_make_flat(&kernel);
	field_put_32(kernel.bytes + 0x20 + 28, KERNEL_START + 0x3000);
	expect_failure(STATUS_INVALID, "entry");
}

static void an_initrd_larger_than_memory_is_refused(void **state)
{
	kernel_make_elf(&kernel, true, KERNEL_PVH);
	images.initrd = initrd;
	images.initrd_bytes = RAM_BYTES + 1;
	expect_failure(STATUS_TOO_BIG, "initrd");
	images.initrd_bytes = ~(u64)0;
	expect_failure(STATUS_TOO_BIG, "initrd");
}

static void a_command_line_too_long_is_refused(void **state)
{
	char line[300];

	memset(line, 'x', sizeof(line));
	line[299] = 0;
	images.command_line = line;
	kernel_make_bzimage(&kernel, true);
	field_put_32(kernel.bytes + 0x238, 299);
	assert_int_equal(load(), STATUS_OK);
	field_put_32(kernel.bytes + 0x238, 298);
	expect_failure(STATUS_TOO_BIG, "--append");
}

static void what_is_no_kernel_is_refused(void **state)
{
	memset(&kernel, 0, sizeof(kernel));
	expect_failure(STATUS_INVALID, "empty");
	kernel.size = 8192;
	expect_failure(STATUS_INVALID, "not a Linux bzImage");
	kernel_make_elf(&kernel, true, KERNEL_PVH);
	field_put_16(kernel.bytes + 18, 183);
	expect_failure(STATUS_INVALID, "not for x86");
	kernel_make_bzimage(&kernel, true);
	field_put_32(kernel.bytes + 0x214, 0);
	expect_failure(STATUS_UNSUPPORTED, "BIOS");
	kernel_make_bzimage(&kernel, true);
	field_put_16(kernel.bytes + 0x206, 0x0201);
	expect_failure(STATUS_UNSUPPORTED, "too old");
}

static void make(unsigned kind)
{
	images.payload = NULL;
	switch (kind) {
	case 0 ... 5:
		kernel_make_elf(&kernel, kind & 1, kind / 2);
		break;
	case 6:
		kernel_make_flat(&kernel);
		break;
	case 7:
	case 8:
		kernel_make_bzimage(&kernel, kind & 1);
		break;
	default:
		kernel_make_elf(&kernel, true, KERNEL_LINUX_ELF);
		payload = kernel;
		kernel_make_bzimage(&kernel, true);
		images.payload = payload.bytes;
		images.payload_bytes = payload.size;
	}
}

#define KINDS 10

static void a_kernel_cut_anywhere_is_refused_or_runs(void **state)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		make(kind);
		u64 size = kernel.size;

		for (u64 cut = 0; cut < size; cut += cut < 0x300 ? 1 : 61) {
			kernel.size = cut;
			if (load() != STATUS_OK)
				assert_true(error.text[0]);
			else
				assert_true(kind == 9 || kind == 6 || cut >= 0x15f0);
		}
	}
}

/* xorshift64: a seed is enough to see a failure again. */
static u64 random_state = 0x9e3779b97f4a7c15;
static u64 random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void put_random(struct kernel *at)
{
	static const u64 edges[] = {0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000,
		0xffffffff, 0xfffffffffffff000, ~(u64)0, RAM_BYTES, KERNEL_START};
	u64 value = random_next() & 1 ? edges[random_next() % ARRAY_SIZE(edges)] : random_next();
	u64 start = random_next() % 3 == 0 ? 0x1f0 : random_next() % 3 == 0 ? 0x1000 : 0;
	u64 where = start + random_next() % 0xe0;

	memcpy(at->bytes + where, &value, (size_t)1 << random_next() % 4);
}

static void a_mangled_kernel_is_refused_or_runs(void **state)
{
	unsigned loaded = 0;

	give_initrd();
	for (unsigned i = 0; i < 20000; i++) {
		make(i % KINDS);
		for (u64 n = random_next() % 4; n < 4; n++)
			put_random(random_next() & 1 ? &kernel : &payload);
		if (load() == STATUS_OK)
			loaded++;
		else
			assert_true(error.text[0]);
	}
	assert_true(loaded > 1000);
}

static u8 sum(u64 gpa, u32 bytes)
{
	const u8 *at = guest(gpa, bytes);
	u8 result = 0;

	while (bytes--)
		result = (u8)(result + *at++);
	return result;
}

static void expect_table(u64 gpa, const char *signature)
{
	assert_memory_equal(guest(gpa, 4), signature, 4);
	assert_int_equal(sum(gpa, guest_32(gpa + 4)), 0);
}

static void acpi_tables_are_linked_and_sum_up(void **state)
{
	u64 rsdp, xsdt, fadt;

	assert_int_equal(acpi_write_tables(&machine, &platform, &rsdp), STATUS_OK);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	xsdt = guest_64(rsdp + 24);
	expect_table(xsdt, "XSDT");
	assert_int_equal(guest_32(xsdt + 4), 36 + 16);
	fadt = guest_64(xsdt + 36);
	expect_table(fadt, "FACP");
	assert_int_equal(guest_32(fadt + 4), 268);
	assert_int_equal(guest_64(fadt + 116 + 4), 0xcf9);
	expect_table(guest_64(fadt + 140), "DSDT");
	assert_memory_equal(guest(guest_32(fadt + 36), 4), "FACS", 4);
	assert_int_equal(guest_32(fadt + 36) % 64, 0);
	expect_table(guest_64(xsdt + 44), "APIC");
}

static void a_thirty_third_processor_does_not_break_the_tables(void **state)
{
	struct acpi_platform large = platform;
	u64 rsdp;

	large.cpu_count = 32;
	assert_int_equal(acpi_write_tables(&machine, &large, &rsdp), STATUS_OK);
	large.cpu_count = 100000;
	assert_int_equal(acpi_write_tables(&machine, &large, &rsdp), STATUS_TOO_BIG);
}

static void the_x87_is_left_as_fninit_leaves_it(void **state)
{
	static struct cpu cpu;

	kernel_make_elf(&kernel, true, KERNEL_PVH);
	assert_int_equal(load(), STATUS_OK);
	tlb_init(&cpu.tlb);
	fpu_reset(&cpu.fpu);
	boot_apply(&cpu, &entry);
	assert_int_equal(fpu_get_16(&cpu.fpu, FPU_FCW), 0x37f);
	assert_int_equal(fpu_get_16(&cpu.fpu, FPU_FSW), 0);
	assert_int_equal(fpu_tag_word(&cpu.fpu), 0xffff);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_pvh_elf_gets_its_start_info),
		TEST(a_multiboot_elf_gets_its_information),
		TEST(a_flat_multiboot_kernel_goes_where_its_header_says),
		TEST(a_linux_elf_gets_boot_params_and_long_mode),
		TEST(a_packed_bzimage_is_entered_by_its_64_bit_entry),
		TEST(a_32_bit_bzimage_is_entered_by_code32),
		TEST(an_unpacked_payload_is_loaded_in_place_of_the_packed_one),
		TEST(init_size_is_room_that_the_kernel_must_have),
		TEST(the_x87_is_left_as_fninit_leaves_it),
		TEST(bad_segments_are_named),
		TEST(an_entry_outside_of_the_kernel_is_refused),
		TEST(an_initrd_larger_than_memory_is_refused),
		TEST(a_command_line_too_long_is_refused),
		TEST(what_is_no_kernel_is_refused),
		TEST(a_kernel_cut_anywhere_is_refused_or_runs),
		TEST(a_mangled_kernel_is_refused_or_runs),
		TEST(acpi_tables_are_linked_and_sum_up),
		TEST(a_thirty_third_processor_does_not_break_the_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
