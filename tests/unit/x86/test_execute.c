/* SPDX-License-Identifier: MIT */
/*
 * Integer instructions: what user mode on the real processor cannot show (tests/differential has the rest): devices behind
 * memory, watched pages, interrupts within repeated instructions, real mode, ports.
 */
#include "tests/unit/unit.h"
#include "x86/decode/decode.h"
#include "x86/environment.h"
#include "x86/flags.h"
#include "x86/model.h"
#include "x86/paging.h"
#include "x86/raise.h"
#include "x86/segments.h"

#define RAM_BYTES 0x20000
#define MMIO 0x40000
#define CODE 0x1000
#define NO_FAULT -1

static u8 ram[RAM_BYTES] __attribute__((aligned(4096)));
static struct cpu cpu;
static u64 watched_page, device, announced_from, announced_to;
static unsigned device_reads, device_writes, port_reads, port_writes;
static u32 port_value;

static u8 *ram_page(struct cpu *c, u64 physical, enum page_use use, bool *watched)
{
	*watched = physical == watched_page;
	return physical < RAM_BYTES ? ram + physical : NULL;
}

static u64 physical_read(struct cpu *c, u64 physical, unsigned bytes)
{
	device_reads++;
	return device;
}

static void physical_write(struct cpu *c, u64 physical, unsigned bytes, u64 value)
{
	device_writes++;
	device = value;
}

static void code_written(struct cpu *c, u64 physical, u64 bytes)
{
	announced_from = MIN(announced_from, physical);
	announced_to = MAX(announced_to, physical + bytes);
}

static u32 port_read(struct cpu *c, u16 port, unsigned bytes)
{
	port_reads++;
	return port_value++;
}

static void port_write(struct cpu *c, u16 port, unsigned bytes, u32 value)
{
	port_writes++;
	port_value = value;
}

static const struct environment environment = {
	.ram_page = ram_page,
	.physical_read = physical_read,
	.physical_write = physical_write,
	.code_written = code_written,
	.port_read = port_read,
	.port_write = port_write,
};

/* Flat 64-bit code without paging, which no processor has and no instruction minds. */
static int start(void **state)
{
	memset(&cpu, 0, sizeof(cpu));
	for (unsigned i = 0; i < RAM_BYTES; i++)
		ram[i] = (u8)(i * 7 + (i >> 8));
	watched_page = announced_from = ~(u64)0;
	announced_to = device = 0;
	device_reads = device_writes = port_reads = port_writes = port_value = 0;
	cpu.model = cpu_model_find("x86-64-v2");
	cpu.environment = &environment;
	cpu_reset(&cpu, true);
	cpu.cr0 = CR0_PE | CR0_ET;
	cpu.efer = EFER_LME | EFER_LMA;
	cpu.code_size = cpu.stack_size = SIZE_64;
	memset(cpu.regs, 0, sizeof(cpu.regs));
	return 0;
}

static void start_real_mode(void)
{
	cpu.cr0 = CR0_ET;
	cpu.efer = 0;
	cpu.code_size = cpu.stack_size = SIZE_16;
	for (unsigned i = 0; i <= SEGMENT_GS; i++)
		segment_load_8086(&cpu, i, 0);
}

static int run(const char *bytes, unsigned count)
{
	struct insn insn;
	const struct insn *end = &insn + 1;

	assert_int_equal(
		decode((const u8 *)bytes, count, cpu.code_size, cpu.model->features, &insn),
		DECODE_OK);
	assert_int_equal(insn.length, count);
	cpu.insn = &insn;
	cpu.insn_end = end;
	cpu.regs[RIP] = CODE + count;
	if (__builtin_setjmp(cpu.unwind)) {
		cpu.regs[RIP] = CODE;
		return cpu.fault.vector;
	}
	insn.execute(&cpu, &insn);
	return NO_FAULT;
}

#define RUN(bytes) run(bytes, sizeof(bytes) - 1)

static void a_locked_add_reaches_a_device(void **state)
{
	device = 5;
	cpu.regs[RDI] = MMIO;
	cpu.regs[RAX] = 3;
	assert_int_equal(RUN("\xf0\x01\x07"), NO_FAULT); /* lock add [rdi], eax */
	assert_int_equal(device, 8);
	assert_int_equal(device_reads, 1);
	assert_int_equal(device_writes, 1);
}

static void xchg_crosses_a_page_end(void **state)
{
	cpu.regs[RDI] = 0x2ffe;
	cpu.regs[RAX] = 0x1122334455667788;
	u64 before;
	memcpy(&before, ram + 0x2ffe, 8);
	assert_int_equal(RUN("\x48\x87\x07"), NO_FAULT);
	assert_true(cpu.regs[RAX] == before);
	assert_int_equal(ram[0x2ffe], 0x88);
	assert_int_equal(ram[0x3005], 0x11);
}

static void overlapping_movs_repeats_its_pattern(void **state)
{
	cpu.regs[RSI] = 0x2000;
	cpu.regs[RDI] = 0x2003;
	cpu.regs[RCX] = 0x3000;
	assert_int_equal(RUN("\xf3\xa4"), NO_FAULT);
	for (unsigned i = 0; i < 0x3000; i++)
		assert_int_equal(ram[0x2003 + i], ram[0x2000 + i % 3]);
	assert_int_equal(cpu.regs[RCX], 0);
	assert_int_equal(cpu.regs[RSI], 0x5000);
	assert_int_equal(cpu.regs[RDI], 0x5003);
}

static void backward_movs_moves_up(void **state)
{
	static u8 expected[RAM_BYTES];
	memcpy(expected, ram, RAM_BYTES);
	memmove(expected + 0x2010, expected + 0x2000, 0x3000);
	cpu.other_flags |= RFLAGS_DF;
	cpu.regs[RSI] = 0x2000 + 0x2ff8;
	cpu.regs[RDI] = 0x2010 + 0x2ff8;
	cpu.regs[RCX] = 0x600;
	assert_int_equal(RUN("\xf3\x48\xa5"), NO_FAULT);
	assert_memory_equal(ram, expected, RAM_BYTES);
	assert_int_equal(cpu.regs[RSI], 0x1ff8);
}

static void stos_announces_all_it_writes(void **state)
{
	watched_page = 0x3000;
	cpu.regs[RDI] = 0x2f00;
	cpu.regs[RCX] = 0x1200;
	cpu.regs[RAX] = 0x90;
	assert_int_equal(RUN("\xf3\xaa"), NO_FAULT);
	assert_int_equal(announced_from, 0x3000);
	assert_int_equal(announced_to, 0x4000);
	assert_int_equal(ram[0x40ff], 0x90);
	assert_int_not_equal(ram[0x4100], 0x90);
}

static void backward_stos_announces_all_it_writes(void **state)
{
	watched_page = 0x3000;
	cpu.other_flags |= RFLAGS_DF;
	cpu.regs[RDI] = 0x3ffc;
	cpu.regs[RCX] = 0x80;
	assert_int_equal(RUN("\xf3\xab"), NO_FAULT);
	assert_int_equal(announced_from, 0x3e00);
	assert_int_equal(announced_to, 0x4000);
}

static void a_device_sees_each_element(void **state)
{
	cpu.regs[RSI] = MMIO;
	cpu.regs[RCX] = 10;
	assert_int_equal(RUN("\xf3\xad"), NO_FAULT); /* rep lodsd */
	assert_int_equal(device_reads, 10);
	cpu.regs[RDI] = MMIO;
	cpu.regs[RCX] = 7;
	assert_int_equal(RUN("\xf3\xab"), NO_FAULT);
	assert_int_equal(device_writes, 7);
}

static void what_is_pending_interrupts_a_repeated_instruction(void **state)
{
	unsigned rounds = 0;
	cpu.pending = PENDING_INTERRUPT;
	cpu.regs[RDI] = 0x4800;
	cpu.regs[RCX] = 0x8000;
	cpu.regs[RAX] = 0x55;
	do {
		u64 left = cpu.regs[RCX];
		assert_int_equal(RUN("\xf3\xaa"), NO_FAULT);
		assert_true(cpu.regs[RCX] < left);
		assert_int_equal(cpu.regs[RDI], 0x4800 + 0x8000 - cpu.regs[RCX]);
		assert_int_equal(cpu.regs[RIP], cpu.regs[RCX] ? CODE : CODE + 2);
		assert_int_equal(!cpu.insn_end, cpu.regs[RCX] != 0);
		rounds++;
	} while (cpu.regs[RCX]);
	assert_in_range(rounds, 8, 10);
	assert_int_equal(ram[0xc7ff], 0x55);
}

/* Whether it stops must not depend on when the host asks: the instruction clock counts executions. */
static void what_waits_under_the_instruction_clock_interrupts_no_instruction(void **state)
{
	cpu.pending_waits = ~(u32)PENDING_TRAP;
	cpu.pending = PENDING_STOP | PENDING_INTERRUPT | PENDING_ENGINE;
	cpu.regs[RDI] = 0x4800;
	cpu.regs[RCX] = 0x8000;
	assert_int_equal(RUN("\xf3\xaa"), NO_FAULT);
	assert_int_equal(cpu.regs[RCX], 0);
	cpu.regs[RDI] = MMIO;
	cpu.regs[RCX] = 100;
	assert_int_equal(RUN("\xf3\xaa"), NO_FAULT);
	assert_int_equal(device_writes, 64);
	assert_int_equal(cpu.regs[RIP], CODE);
	cpu.pending |= PENDING_TRAP;
	assert_int_equal(RUN("\xf3\xaa"), NO_FAULT);
	assert_int_equal(device_writes, 65);
}

static void single_steps_are_elements(void **state)
{
	cpu.other_flags |= RFLAGS_TF;
	cpu.regs[RDI] = 0x4000;
	cpu.regs[RCX] = 2;
	assert_int_equal(RUN("\xf3\xaa"), NO_FAULT);
	assert_int_equal(cpu.regs[RCX], 1);
	assert_int_equal(cpu.regs[RIP], CODE);
	assert_int_equal(RUN("\xf3\xaa"), NO_FAULT);
	assert_int_equal(cpu.regs[RCX], 0);
	assert_int_equal(cpu.regs[RIP], CODE + 2);
}

static void real_mode_strings_wrap_at_64k(void **state)
{
	start_real_mode();
	cpu.regs[RDI] = 0x1234fffe;
	cpu.regs[RCX] = 0x56780004;
	cpu.regs[RAX] = 0xaa;
	assert_int_equal(RUN("\xf3\xaa"), NO_FAULT);
	assert_int_equal(cpu.regs[RDI], 0x12340002);
	assert_int_equal(cpu.regs[RCX], 0x56780000);
	assert_int_equal(ram[0xfffe], 0xaa);
	assert_int_equal(ram[1], 0xaa);
	assert_int_not_equal(ram[0x10000], 0xaa);
}

static void a_word_past_the_segment_stops_the_string_there(void **state)
{
	start_real_mode();
	cpu.regs[RDI] = 0xfff9;
	cpu.regs[RCX] = 10;
	assert_int_equal(RUN("\xf3\xab"), EXCEPTION_GP);
	assert_int_equal(cpu.regs[RCX], 7);
	assert_int_equal(cpu.regs[RDI], 0xffff);
}

static void a_jump_past_the_code_segment_changes_nothing(void **state)
{
	start_real_mode();
	cpu.segments[SEGMENT_CS].limit = 0x2fff;
	assert_int_equal(RUN("\xe9\x00\x20"), EXCEPTION_GP);
	assert_int_equal(RUN("\xe9\xfc\x1f"), NO_FAULT);
	assert_int_equal(cpu.regs[RIP], 0x2fff);
	cpu.regs[RSP] = 0x4000;
	assert_int_equal(RUN("\xe8\x00\x20"), EXCEPTION_GP);
	assert_int_equal(cpu.regs[RSP], 0x4000);
	cpu.regs[RCX] = 5;
	cpu.segments[SEGMENT_CS].limit = 0x1000;
	assert_int_equal(RUN("\xe2\x10"), EXCEPTION_GP);
	assert_int_equal(cpu.regs[RCX], 5);
}

static void real_mode_branches_are_16_bits_wide(void **state)
{
	start_real_mode();
	assert_int_equal(RUN("\xe9\x00\xf0"), NO_FAULT);
	assert_int_equal(cpu.regs[RIP], 0x0003);
	cpu.regs[RSP] = 0xabcd0000;
	assert_int_equal(RUN("\xe8\x00\x00"), NO_FAULT);
	assert_int_equal(cpu.regs[RSP], 0xabcdfffe);
	assert_int_equal(ram[0xfffe], 0x03);
}

static void ports_have_their_sizes(void **state)
{
	port_value = 0x12345678;
	cpu.regs[RAX] = 0xffffffffffffffff;
	assert_int_equal(RUN("\xe4\x60"), NO_FAULT);
	assert_true(cpu.regs[RAX] == 0xffffffffffffff78);
	assert_int_equal(RUN("\x66\xed"), NO_FAULT);
	assert_true(cpu.regs[RAX] == 0xffffffffffff5679);
	assert_int_equal(RUN("\xed"), NO_FAULT);
	assert_true(cpu.regs[RAX] == 0x1234567a);
	assert_int_equal(RUN("\xe6\x80"), NO_FAULT);
	assert_int_equal(port_value, 0x7a);
}

static void ports_are_the_kernels(void **state)
{
	cpu.cpl = 3;
	cpu.segments[SEGMENT_TR].limit = 0x67;
	assert_int_equal(RUN("\xec"), EXCEPTION_GP);
	assert_int_equal(port_reads, 0);
	cpu.other_flags |= RFLAGS_IOPL;
	assert_int_equal(RUN("\xec"), NO_FAULT);
	assert_int_equal(port_reads, 1);
}

static void ins_asks_the_port_only_if_it_can_store(void **state)
{
	cpu.regs[RDI] = BIT(63);
	assert_int_equal(RUN("\x6c"), EXCEPTION_GP);
	assert_int_equal(port_reads, 0);
	cpu.regs[RDI] = 0x5ffc;
	cpu.regs[RCX] = 4;
	port_value = 0x101;
	assert_int_equal(RUN("\xf3\x66\x6d"), NO_FAULT);
	assert_int_equal(port_reads, 4);
	assert_int_equal(ram[0x6002], 0x04);
	cpu.regs[RSI] = 0x5ffc;
	cpu.regs[RCX] = 4;
	assert_int_equal(RUN("\xf3\x66\x6f"), NO_FAULT);
	assert_int_equal(port_writes, 4);
	assert_int_equal(port_value, 0x104);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_locked_add_reaches_a_device),
		TEST(xchg_crosses_a_page_end),
		TEST(overlapping_movs_repeats_its_pattern),
		TEST(backward_movs_moves_up),
		TEST(stos_announces_all_it_writes),
		TEST(backward_stos_announces_all_it_writes),
		TEST(a_device_sees_each_element),
		TEST(what_is_pending_interrupts_a_repeated_instruction),
		TEST(what_waits_under_the_instruction_clock_interrupts_no_instruction),
		TEST(single_steps_are_elements),
		TEST(real_mode_strings_wrap_at_64k),
		TEST(a_word_past_the_segment_stops_the_string_there),
		TEST(a_jump_past_the_code_segment_changes_nothing),
		TEST(real_mode_branches_are_16_bits_wide),
		TEST(ports_have_their_sizes),
		TEST(ports_are_the_kernels),
		TEST(ins_asks_the_port_only_if_it_can_store),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
