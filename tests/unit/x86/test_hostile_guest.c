/* SPDX-License-Identifier: MIT */
/*
 * Random instructions in every mode, with random tables: all end in an architectural answer. What it proves is
 * that nothing crashes, hangs or trips a sanitizer. LODGE_HOSTILE_ROUNDS and LODGE_HOSTILE_SEED change how much and what.
 */
#include "tests/unit/x86/processor.h"

enum start_mode { REAL, PROTECTED_16, PROTECTED_32, VIRTUAL_8086, PAE, COMPATIBILITY, LONG, MODES };

static u64 below(u64 limit)
{
	return next_random() % limit;
}

static u64 interesting(void)
{
	static const u64 values[] = {0, 1, 0x7ff, 0xffff, 0xffffffff, 0x7fffffffffff, BIT(47),
		~(u64)0, RAM_BYTES - 1, RAM_BYTES, 0xfee00000, BIT(63), PML4, GDT, IDT, TSS, CODE};
	return below(3) ? below(RAM_BYTES) : values[below(ARRAY_SIZE(values))];
}

/* Random descriptors, gates and page table entries, about half of them usable. */
static void scramble_tables(void)
{
	for (unsigned i = 0; i < 6; i++)
		put_64(GDT + 8 * below(16), next_random());
	for (unsigned i = 0; i < 8; i++)
		put_64(IDT + 8 * below(64),
			below(2) ? next_random()
				 : (GDT_LIMIT & (u64)next_random()) << 16 |
					(u64)(0x80 | below(128)) << 40 | CODE);
	for (unsigned i = 0; i < 4; i++)
		put_64(PML4 + 0x1000 * below(5) + 8 * below(512),
			below(2) ? next_random() : (interesting() & PAGE_MASK) | below(0x1000));
	for (unsigned i = 0; i < 8; i++)
		put_32(TSS + 4 * below(26), (u32)interesting());
}

static void start(enum start_mode mode)
{
	if (mode == LONG || mode == COMPATIBILITY)
		start_64(NULL);
	else if (mode == REAL)
		processor_reset(NULL);
	else
		start_32(NULL);
	if (mode == PAE) {
		for (u64 i = 0; i < 4; i++)
			put_64(0x110000 + 8 * i, (PD & PAGE_MASK) | 1);
		identity_map();
		cpu.cr3 = 0x110000;
		cpu.cr4 = CR4_PAE;
		RAISES(control_set_cr0(&cpu, cpu.cr0 | CR0_PG | CR0_WP));
	}
	if (mode == PROTECTED_16)
		segments_set(CS_16, DS_16);
	if (mode == COMPATIBILITY)
		segments_set(below(2) ? CS_32_USER : CS_32, DS_FLAT);
	if (mode == VIRTUAL_8086) {
		cpu.other_flags |= RFLAGS_VM | (u32)(below(4) << 12);
		cpu.cpl = 3;
		for (unsigned i = 0; i < 6; i++)
			segment_load_8086(&cpu, i, 0);
	} else if (mode != REAL && mode != COMPATIBILITY && below(3) == 0) {
		segments_set(mode == LONG ? CS_64_USER : CS_32_USER, DS_USER);
	}
	cpu.regs[RIP] = CODE;
	if (below(2))
		scramble_tables();
	if (below(8) == 0)
		debug_set_dr7(&cpu, next_random() & 0xffff2bff);
	cpu_mode_changed(&cpu);
}

static void scramble_registers(void)
{
	for (unsigned i = 0; i < 16; i++)
		if (below(2))
			cpu.regs[i] = interesting();
	for (unsigned i = 0; i < 4; i++)
		cpu.dr[i] = interesting();
	cpu.msrs.star = next_random() & 0x007f007fffffffff;
	cpu.msrs.lstar = CODE + below(64);
	cpu.msrs.sysenter_cs = below(GDT_LIMIT);
}

/* Mostly system instructions: the rest has its own tests. */
static void put_insn(u64 at)
{
	static const u8 opcodes[] = {0x8e, 0x8c, 0x9a, 0xea, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf,
		0x9c, 0x9d, 0xfa, 0xfb, 0xc4, 0xc5, 0x07, 0x17, 0x1f, 0x06, 0xff, 0xf1, 0xf4, 0x63};
	static const u8 opcodes_0f[] = {0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x20, 0x21, 0x22,
		0x23, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0xa0, 0xa1, 0xa2, 0xa8, 0xa9, 0xae, 0xb2,
		0xb4, 0xb5, 0xc7};
	u8 bytes[16];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (u8)next_random();
	u8 *to = bytes;
	if (below(4) == 0)
		*to++ = 0x66;
	if (below(4) == 0)
		*to++ = 0x48;
	if (below(2)) {
		*to++ = 0x0f;
		*to = opcodes_0f[below(ARRAY_SIZE(opcodes_0f))];
	} else if (below(4)) {
		*to = opcodes[below(ARRAY_SIZE(opcodes))];
	}
	u64 room = RAM_BYTES - 16;
	memcpy(ram + (at % room), bytes, sizeof(bytes));
}

static void one_step(void)
{
	u64 physical;
	u64 linear = cpu.regs[RIP];
	if (cpu.code_size != SIZE_64)
		linear = (u32)(linear + cpu.segments[SEGMENT_CS].base);
	if (paging_translate_debug(&cpu, linear, &physical))
		put_insn(physical);
	if (below(16) == 0) {
		interrupt_vector = (int)below(256);
		cpu.pending |= PENDING_INTERRUPT | (below(4) ? 0 : PENDING_NMI);
	}
	if (cpu.pending)
		interrupts_take(&cpu);
	if (cpu.activity == CPU_HALTED)
		cpu.activity = CPU_RUNNING;
	if (cpu.activity == CPU_RUNNING)
		step();
}

static void random_streams_end_in_architectural_answers(void **state)
{
	const char *rounds = getenv("LODGE_HOSTILE_ROUNDS"), *seed = getenv("LODGE_HOSTILE_SEED");
	u64 count = rounds ? strtoull(rounds, NULL, 0) : 3000;
	unsigned long completed = 0, steps = 0;
	random_state = seed ? strtoull(seed, NULL, 0) | 1 : 88172645463325252;

	for (u64 i = 0; i < count; i++) {
		start((enum start_mode)(i % MODES));
		for (unsigned j = 0; j < 40 && cpu.activity != CPU_SHUTDOWN; j++) {
			if (below(4) == 0)
				scramble_registers();
			u64 rip = cpu.regs[RIP];
			one_step();
			steps++;
			completed += cpu.regs[RIP] != rip;
			assert_int_equal(cpu.regs[REGISTER_ZERO], 0);
			assert_true(cpu.segments[SEGMENT_NONE].base == 0);
			assert_true(cpu.cpl <= 3);
			assert_true(cpu_state_is_valid(&cpu));
		}
	}
	print_message("%lu steps, %lu of them moved on\n", steps, completed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_streams_end_in_architectural_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
