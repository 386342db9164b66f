/* SPDX-License-Identifier: MIT */
/* Of both software engines, what hostile guests have shown: time passes whatever they do, and nothing of the host's comes out. */
#include "base/memory.h"
#include "core/machine.h"
#include "hosts/fake/fake.h"
#include "tests/unit/unit.h"
#include "x86/fpu.h"
#include "x86/model.h"

#define RAM_BYTES (1 * MIB)
#define CODE 0x1000

static struct machine machine;
static struct vcpu *vcpu;
static struct cpu *cpu;

/* Real mode, all segments 0, at CODE. */
static int set_up(void **state)
{
	struct machine_parameters parameters = {.engine = *state,
		.translate_after = 1,
		.ram = host_memory_get(RAM_BYTES),
		.ram_bytes = RAM_BYTES,
		.clock = CLOCK_INSTRUCTIONS,
		.tsc_hz = 1000000000,
		.model = cpu_model_find("x86-64-v2"),
		.vcpu_count = 1};

	fake_reset();
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

static void put(u64 at, const void *bytes, u64 count)
{
	assert_true(memory_write(&machine, at, bytes, count));
}

static void a_guest_that_only_faults_does_not_stop_the_clock(void **state)
{
	/* UD2; and the handler of #UD is UD2, too. */
	put(CODE, "\x0f\x0b", 2);
	put(6 * 4, "\x00\x10\x00\x00", 4);
	assert_true(vcpu_run_insns(vcpu, 1000));
	assert_int_equal(clock_now_ns(&machine.clock), 1000);
}

static void a_processor_halted_with_interrupts_off_sleeps_though_one_is_pending(void **state)
{
	put(CODE, "\xfa\xf4", 2); /* CLI; HLT */
	vcpu_interrupt_line(vcpu, true);
	assert_true(vcpu_run_insns(vcpu, 1000));
	assert_int_equal(cpu->activity, CPU_HALTED);
	assert_int_equal(clock_now_ns(&machine.clock), 1000);
}

static void a_repeated_instruction_takes_time(void **state)
{
	/* REP OUTSB, of four thousand million bytes. */
	put(CODE, "\x67\xf3\x6e", 3);
	cpu->regs[RCX] = 0xffffffff;
	cpu->segments[SEGMENT_DS].limit = 0xffffffff;
	assert_true(vcpu_run_insns(vcpu, 100));
	assert_true((u32)cpu->regs[RCX] > 0xff000000);
	assert_int_equal(cpu->regs[RIP], CODE);
}

static void code_is_not_run_past_the_segments_limit_though_it_is_cached(void **state)
{
	/* INC AX, four times; HLT */
	put(CODE, "\x40\x40\x40\x40\xf4", 5);
	put(13 * 4, "\x00\x08\x00\x00", 4); /* #GP: HLT */
	put(0x800, "\xf4", 1);
	vcpu_run_insns(vcpu, 10);
	assert_int_equal(cpu->regs[RAX], 4);
	/* The same linear address, two bytes below the limit. */
	cpu->activity = CPU_RUNNING;
	cpu->regs[RAX] = 0;
	cpu->regs[RIP] = CODE;
	cpu->segments[SEGMENT_CS].limit = CODE + 1;
	vcpu_run_insns(vcpu, 10);
	assert_int_equal(cpu->regs[RAX], 2);
	assert_int_equal(cpu->regs[RIP], 0x801);
}

static void a_suppressed_x87_store_leaves_memory_alone(void **state)
{
	static const u8 before[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

	/* FSTP tbyte [3000] of an empty register, invalid being unmasked, waiting already and (CR0.NE clear) ignored. */
	put(CODE, "\xdb\x3e\x00\x30\xf4", 5);
	put(0x3000, before, sizeof(before));
	cpu->cr4 |= CR4_OSFXSR;
	fpu_reset(&cpu->fpu);
	cpu->fpu.image[FPU_FTW] = 0;
	fpu_set_16(&cpu->fpu, FPU_FCW, 0x37e);
	fpu_set_16(&cpu->fpu, FPU_FSW, 1);
	fpu_update_summary(&cpu->fpu);
	vcpu_run_insns(vcpu, 2);
	assert_memory_equal(machine.memory.host + 0x3000, before, sizeof(before));
}

#define FOR(engine, test)                                                         \
	{                                                                         \
#test " (" #engine ")", test, set_up, tear_down, (void *)&engine, \
	}
#define FOR_BOTH(test) FOR(engine_interpreter, test), FOR(engine_translator, test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FOR_BOTH(a_guest_that_only_faults_does_not_stop_the_clock),
		FOR_BOTH(a_processor_halted_with_interrupts_off_sleeps_though_one_is_pending),
		FOR_BOTH(a_repeated_instruction_takes_time),
		FOR_BOTH(code_is_not_run_past_the_segments_limit_though_it_is_cached),
		FOR_BOTH(a_suppressed_x87_store_leaves_memory_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
