/* SPDX-License-Identifier: MIT */
/* Two engines side by side: leaders that do one thing wrong are found out, with the instruction; good ones are left alone. */
#include "base/memory.h"
#include "core/machine.h"
#include "engines/lockstep/lockstep.h"
#include "hosts/fake/fake.h"
#include "tests/unit/unit.h"
#include "x86/flags.h"
#include "x86/model.h"

#define RAM_BYTES (1 * MIB)
#define CODE 0x1000
#define DATA 0x3000
#define ELSEWHERE 0x5000

static struct machine machine;
static struct vcpu *vcpu;
static struct cpu *cpu;

/* ---- a leader that runs one instruction at a time, and does something after the one at `at` ------------- */

static struct {
	u64 at;
	void (*does)(struct vcpu *vcpu);
	u64 skips; /* times that it is right first */
} fault;

static struct engine_ops faulty;

static enum run_exit faulty_run(struct vcpu *on, u64 insns)
{
	enum run_exit exit = RUN_STOPPED;

	while (insns-- && exit == RUN_STOPPED && !(on->cpu.pending & PENDING_STOP)) {
		u64 rip = on->cpu.regs[RIP];
		exit = engine_interpreter.run(on, 1);
		if (rip == fault.at && fault.does && (!fault.skips || !--fault.skips))
			fault.does(on);
	}
	return exit;
}

static void wrong_register(struct vcpu *on)
{
	on->cpu.regs[RBX] += 0x10;
}

static void wrong_store(struct vcpu *on)
{
	on->machine->memory.host[DATA + 1] ^= 1;
}

static void stray_store(struct vcpu *on)
{
	on->machine->memory.host[ELSEWHERE] = 1;
}

static void wrong_next(struct vcpu *on)
{
	on->cpu.regs[RAX]++; /* what the next OUT writes */
}

static void other_adjust_flag(struct vcpu *on)
{
	on->cpu.arithmetic_flags ^= PACKED_AF;
}

static void idle(struct vcpu *on)
{
	on->cpu.activity = CPU_HALTED;
}

/* ---- the machine -------------------------------------------------------------------------------------- */

static void put(u64 at, const void *bytes, u64 count)
{
	assert_true(memory_write(&machine, at, bytes, count));
}

/* Real mode, all segments 0, at CODE. */
static int set_up(void **state)
{
	struct lockstep_settings settings = {.leader = &faulty,
		.follower = &engine_interpreter,
		.window_insns = 100,
		.memory_insns = 1000};
	struct machine_parameters parameters = {.engine = &engine_lockstep,
		.ram = host_memory_get(RAM_BYTES),
		.ram_bytes = RAM_BYTES,
		.clock = CLOCK_INSTRUCTIONS,
		.tsc_hz = 1000000000,
		.model = cpu_model_find("x86-64-v2"),
		.vcpu_count = 1};

	fake_reset();
	faulty = engine_interpreter;
	faulty.name = "faulty";
	faulty.run = faulty_run;
	memset(&fault, 0, sizeof(fault));
	lockstep_configure(&settings);
	memset(&machine, 0, sizeof(machine));
	assert_int_equal(machine_init(&machine, &parameters), STATUS_OK);
	clock_start(&machine.clock);
	vcpu = machine.vcpus[0];
	cpu = &vcpu->cpu;
	cpu->segments[SEGMENT_CS].base = cpu->segments[SEGMENT_CS].selector = 0;
	cpu->regs[RIP] = CODE;
	cpu->regs[RSP] = 0x8000;
	return 0;
}

static int tear_down(void **state)
{
	u8 *ram = machine.memory.host;

	machine_fini(&machine);
	host_memory_put(ram, RAM_BYTES);
	return 0;
}

/*
 * 1000: inc cx; 1001: mov [3000], cx; 1005: and dx, cx; 1007: add si, cx; 1009: push ss; 100a: pop ss; 100b: nop; 100c: out 42h, al;
 * 100e: jmp 1000
 */
static const u8 loop[] = {0x41, 0x89, 0x0e, 0x00, 0x30, 0x21, 0xca, 0x01, 0xce, 0x16, 0x17, 0x90,
	0xe6, 0x42, 0xeb, 0xf0};

static bool runs(u64 insns)
{
	put(CODE, loop, sizeof(loop));
	return vcpu_run_insns(vcpu, insns);
}

static void assert_said(const char *words)
{
	if (!strstr(fake_log, words))
		fail_msg("not said: %s\n%s", words, fake_log);
}

/* ---- tests -------------------------------------------------------------------------------------------- */

static void a_good_leader_is_left_alone(void **state)
{
	assert_true(runs(100000));
	assert_int_equal(fake_log_lines, 0);
	assert_true(cpu->regs[RCX] > 11000);
}

static void a_wrong_register_is_named_with_its_instruction(void **state)
{
	fault.at = 0x1007;
	fault.does = wrong_register;
	assert_false(runs(100000));
	assert_int_equal(machine.exit, MACHINE_FAULT);
	assert_said("faulty and interp differ in the window of 100 instructions after 0");
	assert_said("number 4 of the window");
	assert_said("it is 1007: add si, cx");
	assert_said("rbx: the leader has 10, the follower 0\n");
	assert_said("3 0 1007: add si, cx | rsi=1");
	assert_said("before: rax=0 rcx=1 ");
	assert_said("leader: rax=0 ");
	assert_said("follower: cs=0 base 0 limit ffff ");
}

static void a_wrong_store_is_named_with_its_instruction(void **state)
{
	fault.at = 0x1001;
	fault.does = wrong_store;
	assert_false(runs(100000));
	assert_said("it is 1001: mov ");
	assert_said("RAM at 3000: the leader has 0000000000000101, the follower 0000000000000001");
}

static void a_stray_store_is_found_when_memory_is_compared(void **state)
{
	put(CODE - 5, "\x88\x06\x00\x50",
		4); /* mov [5000], al: only that page is the leader's to write */
	put(CODE - 1, "\x90", 1);
	cpu->regs[RIP] = CODE - 5;
	fault.at = 0x1001;
	fault.does = stray_store;
	fault.skips = 20;
	assert_false(runs(100000));
	assert_said("memory differs");
	assert_said("RAM at 5000: the leader has 0000000000000001, the follower 0000000000000000");
}

static void what_is_asked_of_the_machine_is_compared(void **state)
{
	fault.at = 0x100b;
	fault.does = wrong_next;
	assert_false(runs(100000));
	assert_said("they took different ways");
	assert_said("the leader (faulty) at 7: writes port 42, 1 bytes, value 1");
	assert_said("the follower (interp) at 7: writes port 42, 1 bytes, value 0");
	assert_said("it is 100b: nop");
}

static void flags_left_undefined_may_differ(void **state)
{
	fault.at =
		0x1005; /* AND leaves AF undefined, and ADD defines it again: it is seen where a window ends between */
	fault.does = other_adjust_flag;
	assert_true(runs(100000));
	assert_int_equal(fake_log_lines, 0);
}

static void flags_that_are_defined_may_not(void **state)
{
	fault.at = 0x1007;
	fault.does = other_adjust_flag;
	assert_false(runs(100000));
	assert_said("arithmetic_flags");
}

static void a_leader_that_halts_alone_is_found(void **state)
{
	fault.at = 0x100b;
	fault.does = idle;
	assert_false(runs(1000));
	assert_said("activity: the leader has 1, the follower 0");
}

/* ---- what comes from outside -------------------------------------------------------------------------- */

static unsigned acknowledged;

static int acknowledge(void *object)
{
	vcpu_interrupt_line(vcpu, false);
	acknowledged++;
	return 0x20;
}

static const struct apic_ops apic_ops = {.acknowledge = acknowledge};

/* An interrupt's handler counts in BP. */
static void interrupts_are_taken_where_the_leader_took_them(void **state)
{
	acknowledged = 0;
	vcpu->apic.ops = &apic_ops;
	put(0x20 * 4, "\x00\x20\x00\x00", 4);
	put(0x2000, "\x45\xcf", 2); /* inc bp; iret */
	cpu->other_flags |= RFLAGS_IF;
	for (unsigned i = 0; i < 500; i++) {
		vcpu_interrupt_line(vcpu, true);
		assert_true(runs(i % 37 + 2));
	}
	assert_int_equal(acknowledged, 500);
	assert_true(cpu->regs[RBP] >= 499);
	assert_int_equal(fake_log_lines, 0);
}

static void nmis_are_taken_where_the_leader_took_them(void **state)
{
	put(2 * 4, "\x00\x20\x00\x00", 4);
	put(0x2000, "\x45\xcf", 2);
	for (unsigned i = 0; i < 500; i++) {
		vcpu_nmi(vcpu);
		assert_true(runs(i % 37 + 2));
	}
	assert_true(cpu->regs[RBP] >= 499);
	assert_int_equal(fake_log_lines, 0);
}

/* REP MOVSB over the first half of memory, interrupts being off: the waiting one makes it pause, which takes time. */
static void a_repeated_instruction_pauses_where_the_leaders_did(void **state)
{
	vcpu->apic.ops = &apic_ops;
	put(CODE, "\x41\xf3\xa4\xb9\xff\x7f\xeb\xf8",
		8); /* inc cx; rep movsb; mov cx, 7fff; jmp 1000 */
	cpu->regs[RDI] = 0x8000;
	cpu->regs[RSI] = 0x4000;
	for (unsigned i = 0; i < 50; i++) {
		vcpu_interrupt_line(vcpu, i & 1);
		assert_true(vcpu_run_insns(vcpu, i % 7 + 1));
	}
	assert_int_equal(fake_log_lines, 0);
}

static void what_a_device_writes_is_seen_by_both(void **state)
{
	/* mov ax, [3000]; add bx, ax; jmp */
	static const u8 code[] = {0xa1, 0x00, 0x30, 0x01, 0xc3, 0xeb, 0xf9};

	put(CODE, code, sizeof(code));
	for (u8 i = 0; i < 200; i++) {
		put(DATA, &i, 1);
		assert_true(vcpu_run_insns(vcpu, 10));
	}
	put(CODE + 3, "\x29", 1); /* sub: code, too */
	assert_true(vcpu_run_insns(vcpu, 1000));
	assert_int_equal(fake_log_lines, 0);
}

static void a_debugger_may_change_registers_between_runs(void **state)
{
	assert_true(runs(150));
	cpu->regs[RDI] = 0x1234;
	machine.engine->push_state(vcpu);
	assert_true(runs(150));
	assert_int_equal(cpu->regs[RDI], 0x1234);
	assert_int_equal(fake_log_lines, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_good_leader_is_left_alone),
		TEST(a_wrong_register_is_named_with_its_instruction),
		TEST(a_wrong_store_is_named_with_its_instruction),
		TEST(a_stray_store_is_found_when_memory_is_compared),
		TEST(what_is_asked_of_the_machine_is_compared),
		TEST(flags_left_undefined_may_differ),
		TEST(flags_that_are_defined_may_not),
		TEST(a_leader_that_halts_alone_is_found),
		TEST(interrupts_are_taken_where_the_leader_took_them),
		TEST(nmis_are_taken_where_the_leader_took_them),
		TEST(a_repeated_instruction_pauses_where_the_leaders_did),
		TEST(what_a_device_writes_is_seen_by_both),
		TEST(a_debugger_may_change_registers_between_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
