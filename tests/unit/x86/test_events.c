/* SPDX-License-Identifier: MIT */
/* Delivery, returns, shadows, single step and breakpoints, mode switches: APM volume 2 chapters 8, 12 and 13. */
#include "tests/unit/x86/processor.h"

#define HANDLER(vector) (HANDLERS + 16 * (vector))

static void user_64(void)
{
	segments_set(CS_64_USER, DS_USER);
	cpu.regs[RIP] = CODE;
	cpu.regs[RSP] = STACK_TOP;
}

static void gate_64(unsigned vector, u8 access, u8 ist)
{
	put_64(IDT + 16 * vector,
		(HANDLER(vector) & 0xffff) | CS_64 << 16 | (u64)ist << 32 | (u64)access << 40 |
			(u64)(HANDLER(vector) >> 16) << 48);
}

static void a_long_mode_fault_pushes_the_whole_frame(void **state)
{
	user_64();
	cpu.other_flags |= RFLAGS_IF;
	assert_int_equal(STEP(0x0f, 0x0b), EXCEPTION_UD);
	assert_int_equal(cpu.regs[RIP], HANDLER(EXCEPTION_UD));
	assert_int_equal(cpu.regs[RSP], KERNEL_STACK - 40);
	assert_int_equal(get_64(KERNEL_STACK - 40), CODE);
	assert_int_equal(get_64(KERNEL_STACK - 32), CS_64_USER);
	assert_int_equal(get_64(KERNEL_STACK - 24), RFLAGS_IF | RFLAGS_RF | 2);
	assert_int_equal(get_64(KERNEL_STACK - 16), STACK_TOP);
	assert_int_equal(get_64(KERNEL_STACK - 8), DS_USER);
	assert_int_equal(cpu.cpl, 0);
	assert_int_equal(cpu.segments[SEGMENT_SS].selector, 0);
	assert_false(cpu.other_flags & RFLAGS_IF);
	assert_int_equal(STEP(0x48, 0xcf), NO_FAULT); /* iretq */
	assert_int_equal(cpu.regs[RIP], CODE);
	assert_int_equal(cpu.regs[RSP], STACK_TOP);
	assert_int_equal(cpu.cpl, 3);
	assert_true(cpu.other_flags & RFLAGS_RF);
}

static void an_interrupt_stack_is_taken_without_a_change_of_level(void **state)
{
	put_64(TSS + 28 + 8 * 3, 0x50008);
	gate_64(EXCEPTION_GP, 0x8e, 3);
	cpu.regs[RAX] = BIT(63);
	/* a non-canonical load: mov (%rax), %rax */
	assert_int_equal(STEP(0x48, 0x8b, 0x00), EXCEPTION_GP);
	assert_int_equal(cpu.regs[RSP], 0x50000 - 48);
	assert_int_equal(get_64(0x50000 - 48), 0);
	assert_int_equal(get_64(0x50000 - 8), DS_FLAT);
}

static void int_n_checks_the_gate_and_pushes_the_next_rip(void **state)
{
	user_64();
	assert_int_equal(STEP(0xcd, 0x80), EXCEPTION_GP);
	assert_int_equal(get_64(KERNEL_STACK - 48), 0x80 * 8 + 2);
	user_64();
	gate_64(0x80, 0xee, 0);
	assert_int_equal(STEP(0xcd, 0x80), NO_FAULT);
	assert_int_equal(get_64(KERNEL_STACK - 40), CODE + 2);
	assert_int_equal(get_64(KERNEL_STACK - 24), 2);
}

static void a_fault_in_delivery_is_a_double_fault_then_shutdown(void **state)
{
	put_64(IDT + 16 * EXCEPTION_GP, 0);
	cpu.regs[RAX] = BIT(63);
	assert_int_equal(STEP(0x48, 0x8b, 0x00), EXCEPTION_GP);
	assert_int_equal(cpu.regs[RIP], HANDLER(EXCEPTION_DF));
	assert_int_equal(get_64(STACK_TOP - 48), 0);
	start_64(state);
	put_64(IDT + 16 * EXCEPTION_GP, 0);
	put_64(IDT + 16 * EXCEPTION_DF, 0);
	cpu.regs[RAX] = BIT(63);
	STEP(0x48, 0x8b, 0x00);
	assert_int_equal(cpu.activity, CPU_SHUTDOWN);
}

static void a_page_fault_on_the_way_is_delivered_itself(void **state)
{
	/* #NM's gate is missing: #NP is contributory, #NM is not, so there is no double fault */
	gate_64(EXCEPTION_UD, 0x0e, 0);
	assert_int_equal(STEP(0x0f, 0x0b), EXCEPTION_UD);
	assert_int_equal(cpu.regs[RIP], HANDLER(EXCEPTION_NP));
	assert_int_equal(get_64(STACK_TOP - 48), EXCEPTION_UD * 8 + 3);
}

static void tf_traps_after_the_instruction(void **state)
{
	cpu.other_flags |= RFLAGS_TF;
	assert_int_equal(STEP(0x90), NO_FAULT);
	assert_true(interrupts_take(&cpu));
	assert_int_equal(cpu.regs[RIP], HANDLER(EXCEPTION_DB));
	assert_int_equal(cpu.dr6, DR6_RESET | DR6_BS);
	assert_int_equal(get_64(STACK_TOP - 40), CODE + 1);
	assert_int_equal(get_64(STACK_TOP - 24), RFLAGS_TF | 2);
	assert_false(cpu.other_flags & RFLAGS_TF);
	assert_false(cpu.pending);
}

static void mov_ss_holds_back_traps_and_interrupts_for_one_instruction(void **state)
{
	cpu.other_flags |= RFLAGS_IF | RFLAGS_TF;
	cpu.regs[RAX] = DS_FLAT;
	cpu.pending |= PENDING_INTERRUPT | PENDING_NMI;
	interrupt_vector = 0x40;
	assert_int_equal(STEP(0x8e, 0xd0), NO_FAULT); /* mov %eax, %ss */
	assert_false(interrupts_take(&cpu));
	assert_int_equal(STEP(0x90), NO_FAULT);
	assert_true(interrupts_take(&cpu));
	assert_int_equal(cpu.regs[RIP], HANDLER(EXCEPTION_DB));
	assert_true(interrupts_take(&cpu));
	assert_int_equal(cpu.regs[RIP], HANDLER(EXCEPTION_NMI));
}

static void sti_holds_back_interrupts_for_one_instruction(void **state)
{
	cpu.pending |= PENDING_INTERRUPT;
	interrupt_vector = 0x40;
	assert_false(interrupts_take(&cpu));
	STEP(0xfb);
	assert_false(interrupts_take(&cpu));
	STEP(0x90);
	assert_true(interrupts_take(&cpu));
	assert_int_equal(cpu.regs[RIP], HANDLER(0x40));
	assert_int_equal(get_64(STACK_TOP - 40), CODE + 2);
}

static void an_nmi_blocks_others_until_iret(void **state)
{
	cpu.pending |= PENDING_NMI;
	assert_true(interrupts_take(&cpu));
	cpu.pending |= PENDING_NMI;
	assert_false(interrupts_take(&cpu));
	STEP(0x48, 0xcf);
	assert_int_equal(cpu.regs[RIP], CODE);
	assert_true(interrupts_take(&cpu));
}

static void hlt_is_left_by_an_interrupt(void **state)
{
	cpu.other_flags |= RFLAGS_IF;
	STEP(0xf4);
	assert_int_equal(cpu.activity, CPU_HALTED);
	cpu.pending |= PENDING_INTERRUPT;
	interrupt_vector = 0x40;
	assert_true(interrupts_take(&cpu));
	assert_int_equal(cpu.activity, CPU_RUNNING);
	assert_int_equal(get_64(STACK_TOP - 40), CODE + 1);
}

static void data_breakpoints_trap_after_the_access(void **state)
{
	cpu.dr[1] = 0x9004;
	debug_set_dr7(&cpu, BIT(2) | BIT(20) | 3ull << 22); /* L1, write, 4 bytes */
	cpu.regs[RBX] = 0x9004;
	assert_int_equal(STEP(0x8b, 0x03), NO_FAULT); /* a load: no */
	assert_false(interrupts_take(&cpu));
	assert_int_equal(STEP(0x88, 0x43, 0x03), NO_FAULT); /* mov %al, 3(%rbx) */
	assert_true(interrupts_take(&cpu));
	assert_int_equal(cpu.dr6, DR6_RESET | BIT(1));
	assert_int_equal(get_64(STACK_TOP - 40), CODE + 5);
}

static void instruction_breakpoints_fault_unless_rf(void **state)
{
	cpu.dr[0] = CODE;
	debug_set_dr7(&cpu, BIT(1));
	assert_int_equal(RAISES(debug_check_execute(&cpu, CODE)), EXCEPTION_DB);
	exception_deliver(&cpu);
	assert_int_equal(cpu.dr6, DR6_RESET | 1);
	assert_int_equal(get_64(STACK_TOP - 24) & RFLAGS_RF, 0);
	cpu.other_flags |= RFLAGS_RF;
	assert_int_equal(RAISES(debug_check_execute(&cpu, CODE)), NO_FAULT);
}

static void general_detect_guards_the_debug_registers(void **state)
{
	debug_set_dr7(&cpu, DR7_GD);
	assert_int_equal(STEP(0x0f, 0x21, 0xc0), EXCEPTION_DB);
	assert_int_equal(cpu.dr6, DR6_RESET | DR6_BD);
	assert_false(cpu.dr7 & DR7_GD);
	assert_int_equal(STEP(0x0f, 0x21, 0xc0), NO_FAULT);
}

static void syscall_and_sysret_go_and_come_back(void **state)
{
	user_64();
	cpu.efer |= EFER_SCE;
	cpu.msrs.star = (u64)0x1b << 48 | (u64)CS_64 << 32; /* +16 is 2b, +8 is 23 */
	cpu.msrs.lstar = 0xa000;
	cpu.msrs.sfmask = RFLAGS_IF;
	cpu.other_flags |= RFLAGS_IF | RFLAGS_DF;
	assert_int_equal(STEP(0x0f, 0x05), NO_FAULT);
	assert_int_equal(cpu.regs[RIP], 0xa000);
	assert_int_equal(cpu.regs[RCX], CODE + 2);
	assert_int_equal(cpu.regs[R11], RFLAGS_IF | RFLAGS_DF | 2);
	assert_int_equal(cpu.other_flags, RFLAGS_DF | 2);
	assert_int_equal(cpu.cpl, 0);
	assert_int_equal(STEP(0x48, 0x0f, 0x07), NO_FAULT);
	assert_int_equal(cpu.regs[RIP], CODE + 2);
	assert_int_equal(cpu.segments[SEGMENT_CS].selector, CS_64_USER);
	assert_int_equal(cpu.segments[SEGMENT_SS].selector, 0x23);
	assert_int_equal(cpu.cpl, 3);
	assert_int_equal(cpu.code_size, SIZE_64);
}

static void sysret_to_a_bad_address_faults_in_cpl_3(void **state)
{
	cpu.efer |= EFER_SCE;
	cpu.regs[RCX] = BIT(47);
	cpu.regs[R11] = 2;
	cpu.msrs.star = (u64)0x1b << 48;
	assert_int_equal(STEP(0x48, 0x0f, 0x07), NO_FAULT);
	assert_int_equal(cpu.cpl, 3);
	assert_int_equal(step(), EXCEPTION_GP);
	assert_int_equal(get_64(KERNEL_STACK - 40), BIT(47));
}

/* ---- 32 bits ---- */

static void a_fault_in_an_outer_level_switches_stacks(void **state)
{
	start_32(state);
	segments_set(CS_32_USER, DS_USER);
	assert_int_equal(STEP(0xf4), EXCEPTION_GP); /* hlt */
	assert_int_equal(cpu.regs[RSP], KERNEL_STACK - 24);
	assert_int_equal(get_32(KERNEL_STACK - 24), 0);
	assert_int_equal(get_32(KERNEL_STACK - 20), CODE);
	assert_int_equal(get_32(KERNEL_STACK - 16), CS_32_USER);
	assert_int_equal(get_32(KERNEL_STACK - 8), STACK_TOP);
	assert_int_equal(get_32(KERNEL_STACK - 4), DS_USER);
	cpu.regs[RSP] += 4;
	segment_load(&cpu, SEGMENT_GS, DS_FLAT);
	assert_int_equal(STEP(0xcf), NO_FAULT);
	assert_int_equal(cpu.cpl, 3);
	assert_int_equal(cpu.segments[SEGMENT_GS].selector, 0);
	assert_int_equal(cpu.segments[SEGMENT_DS].selector, DS_USER);
}

static void iret_enters_virtual_8086_mode_and_faults_leave_it(void **state)
{
	static const u32 frame[] = {
		0x10, 0x900, RFLAGS_VM | 2, 0xfff0, 0x2000, 0x1111, 0x2222, 0x3333, 0x4444};

	start_32(state);
	for (unsigned i = 0; i < ARRAY_SIZE(frame); i++)
		put_32(STACK_TOP + 4 * i, frame[i]);
	assert_int_equal(STEP(0xcf), NO_FAULT);
	assert_true(cpu_is_virtual_8086(&cpu));
	assert_int_equal(cpu.cpl, 3);
	assert_int_equal(cpu.code_size, SIZE_16);
	assert_int_equal(cpu.segments[SEGMENT_CS].base, 0x9000);
	assert_int_equal(cpu.segments[SEGMENT_ES].base, 0x11110);
	assert_int_equal(cpu.segments[SEGMENT_GS].selector, 0x4444);
	ram[0x9010] = 0xfa; /* cli at IOPL 0 */
	assert_int_equal(step(), EXCEPTION_GP);
	assert_false(cpu_is_virtual_8086(&cpu));
	assert_int_equal(cpu.regs[RSP], KERNEL_STACK - 40);
	assert_int_equal(get_32(KERNEL_STACK - 40), 0);
	assert_int_equal(get_32(KERNEL_STACK - 36), 0x10);
	assert_int_equal(get_32(KERNEL_STACK - 32), 0x900);
	assert_int_equal(get_32(KERNEL_STACK - 28), RFLAGS_VM | RFLAGS_RF | 2);
	assert_int_equal(get_32(KERNEL_STACK - 24), 0xfff0);
	assert_int_equal(get_32(KERNEL_STACK - 20), 0x2000);
	assert_int_equal(get_32(KERNEL_STACK - 16), 0x1111);
	assert_int_equal(get_32(KERNEL_STACK - 4), 0x4444);
	assert_int_equal(cpu.segments[SEGMENT_DS].selector, 0);
}

static void a_call_gate_copies_parameters_and_ret_drops_them(void **state)
{
	start_32(state);
	put_64(GDT + FREE_SELECTOR, (u64)0xa000 | CS_32 << 16 | (u64)2 << 32 | (u64)0xec << 40);
	segments_set(CS_32_USER, DS_USER);
	put_32(STACK_TOP, 0x11);
	put_32(STACK_TOP + 4, 0x22);
	assert_int_equal(STEP(0x9a, 0, 0, 0, 0, FREE_SELECTOR | 3, 0), NO_FAULT);
	assert_int_equal(cpu.regs[RIP], 0xa000);
	assert_int_equal(cpu.cpl, 0);
	assert_int_equal(cpu.regs[RSP], KERNEL_STACK - 24);
	assert_int_equal(get_32(KERNEL_STACK - 24), CODE + 7);
	assert_int_equal(get_32(KERNEL_STACK - 16), 0x11);
	assert_int_equal(get_32(KERNEL_STACK - 12), 0x22);
	assert_int_equal(get_32(KERNEL_STACK - 8), STACK_TOP);
	assert_int_equal(STEP(0xca, 8, 0), NO_FAULT);
	assert_int_equal(cpu.cpl, 3);
	assert_int_equal(cpu.regs[RIP], CODE + 7);
	assert_int_equal(cpu.regs[RSP], STACK_TOP + 8);
}

static void a_task_gate_switches_and_iret_comes_back(void **state)
{
	const u64 other = 0x6000;

	start_32(state);
	put_64(GDT + FREE_SELECTOR, make_descriptor((u32)other, 0x67, 0x89, 0));
	put_64(IDT + 8 * EXCEPTION_UD, FREE_SELECTOR << 16 | (u64)0x85 << 40);
	put_32(other + 0x20, 0xb000);
	put_32(other + 0x24, 2);
	put_32(other + 0x28 + 4 * RSP, 0x38000);
	put_32(other + 0x28 + 4 * RBX, 0xbbbb);
	for (unsigned i = 0; i < 6; i++)
		put_32(other + 0x48 + 4 * i, i == SEGMENT_CS ? CS_32 : DS_FLAT);
	cpu.regs[RBX] = 0xaaaa;
	assert_int_equal(STEP(0x0f, 0x0b), EXCEPTION_UD);
	assert_int_equal(cpu.regs[RIP], 0xb000);
	assert_int_equal(cpu.regs[RSP], 0x38000);
	assert_int_equal(cpu.regs[RBX], 0xbbbb);
	assert_true(cpu.other_flags & RFLAGS_NT);
	assert_true(cpu.cr0 & CR0_TS);
	assert_int_equal(cpu.segments[SEGMENT_TR].selector, FREE_SELECTOR);
	assert_int_equal(get_32(other) & 0xffff, TSS_SELECTOR);
	assert_int_equal(get_32(TSS + 0x20), CODE);
	assert_int_equal(STEP(0xcf), NO_FAULT);
	assert_int_equal(cpu.regs[RIP], CODE);
	assert_int_equal(cpu.regs[RBX], 0xaaaa);
	assert_int_equal(cpu.segments[SEGMENT_TR].selector, TSS_SELECTOR);
	assert_false(cpu.other_flags & RFLAGS_NT);
	assert_int_equal(get_64(GDT + FREE_SELECTOR) >> 40 & 0xff, 0x89);
}

static void real_mode_interrupts_go_through_the_vector_table(void **state)
{
	processor_reset(state);
	segment_load_8086(&cpu, SEGMENT_CS, 0x100);
	cpu.regs[RIP] = 0x50;
	cpu.regs[RSP] = 0x2000;
	cpu.other_flags |= RFLAGS_IF;
	put_32(4 * 0x21, 0x07c01234);
	ram[0x1050] = 0xcd;
	ram[0x1051] = 0x21;
	assert_int_equal(step(), NO_FAULT);
	assert_int_equal(cpu.regs[RIP], 0x1234);
	assert_int_equal(cpu.segments[SEGMENT_CS].base, 0x7c00);
	assert_int_equal(cpu.regs[RSP], 0x1ffa);
	assert_int_equal(get_64(0x1ffa) & 0xffffffffffff, (u64)0x0202 << 32 | 0x100 << 16 | 0x52);
	ram[0x8e34] = 0xcf;
	assert_int_equal(step(), NO_FAULT);
	assert_int_equal(cpu.regs[RIP], 0x52);
	assert_int_equal(cpu.segments[SEGMENT_CS].selector, 0x100);
	assert_true(cpu.other_flags & RFLAGS_IF);
}

static void a_processor_goes_from_reset_to_long_mode(void **state)
{
	processor_reset(state);
	tables_make();
	identity_map();
	segment_load_8086(&cpu, SEGMENT_CS, CODE >> 4);
	cpu.regs[RIP] = 0;
	assert_int_equal(RAISES(control_set_cr4(&cpu, CR4_PAE)), NO_FAULT);
	assert_int_equal(RAISES(control_set_cr3(&cpu, PML4)), NO_FAULT);
	assert_int_equal(RAISES(control_set_efer(&cpu, EFER_LME)), NO_FAULT);
	cpu.regs[RAX] = CR0_PE | CR0_PG;
	assert_int_equal(RAISES(control_set_cr0(&cpu, cpu.regs[RAX])), NO_FAULT);
	assert_true(cpu_is_long_mode(&cpu));
	assert_int_equal(cpu.code_size, SIZE_16);
	/* jmp 8:a000 */
	memcpy(ram + CODE, (u8[]){0xea, 0x00, 0xa0, CS_64, 0}, 5);
	assert_int_equal(step(), NO_FAULT);
	assert_int_equal(cpu.code_size, SIZE_64);
	assert_int_equal(cpu.regs[RIP], 0xa000);
	/* mov %cr0 with PG clear is refused from 64-bit code */
	assert_int_equal(RAISES(control_set_cr0(&cpu, CR0_PE)), EXCEPTION_GP);
}

static void init_and_sipi_start_an_application_processor(void **state)
{
	processor_reset(state);
	cpu.apic_id = 1;
	cpu.pending |= PENDING_INIT;
	assert_true(interrupts_take(&cpu));
	assert_int_equal(cpu.activity, CPU_WAIT_FOR_SIPI);
	cpu.sipi_vector = 0x9a;
	cpu.pending |= PENDING_SIPI;
	assert_true(interrupts_take(&cpu));
	assert_int_equal(cpu.activity, CPU_RUNNING);
	assert_int_equal(cpu.segments[SEGMENT_CS].base, 0x9a000);
	assert_int_equal(cpu.regs[RIP], 0);
	assert_int_equal(cpu.pending, 0);
}

static void msrs_that_are_not_there_are_gp(void **state)
{
	u64 value;
	assert_false(msr_read(&cpu, 0x12345, &value));
	assert_false(msr_write(&cpu, 0xc0000082, BIT(47)));
	assert_true(msr_write(&cpu, 0xc0000082, ~(u64)0));
	assert_true(msr_read(&cpu, 0xc0000082, &value) && value == ~(u64)0);
	assert_false(msr_write(&cpu, 0x277, 2));
	assert_false(msr_write(&cpu, 0xfe, 0));
	assert_true(msr_write(&cpu, 0x20f, BIT(11) | 0x3ff000000000));
	assert_false(msr_write(&cpu, 0x20f, BIT(46)));
}

#define TEST(name) cmocka_unit_test_setup(name, start_64)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_long_mode_fault_pushes_the_whole_frame),
		TEST(an_interrupt_stack_is_taken_without_a_change_of_level),
		TEST(int_n_checks_the_gate_and_pushes_the_next_rip),
		TEST(a_fault_in_delivery_is_a_double_fault_then_shutdown),
		TEST(a_page_fault_on_the_way_is_delivered_itself),
		TEST(tf_traps_after_the_instruction),
		TEST(mov_ss_holds_back_traps_and_interrupts_for_one_instruction),
		TEST(sti_holds_back_interrupts_for_one_instruction),
		TEST(an_nmi_blocks_others_until_iret),
		TEST(hlt_is_left_by_an_interrupt),
		TEST(data_breakpoints_trap_after_the_access),
		TEST(instruction_breakpoints_fault_unless_rf),
		TEST(general_detect_guards_the_debug_registers),
		TEST(syscall_and_sysret_go_and_come_back),
		TEST(sysret_to_a_bad_address_faults_in_cpl_3),
		TEST(a_fault_in_an_outer_level_switches_stacks),
		TEST(iret_enters_virtual_8086_mode_and_faults_leave_it),
		TEST(a_call_gate_copies_parameters_and_ret_drops_them),
		TEST(a_task_gate_switches_and_iret_comes_back),
		TEST(real_mode_interrupts_go_through_the_vector_table),
		TEST(a_processor_goes_from_reset_to_long_mode),
		TEST(init_and_sipi_start_an_application_processor),
		TEST(msrs_that_are_not_there_are_gp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
