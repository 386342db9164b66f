/* SPDX-License-Identifier: MIT */
/* What two vCPUs tell each other about code (engines/blocks/inbox.c). The second one's TLB, and whether it runs, is the tests' word. */
#include "base/memory.h"
#include "core/machine.h"
#include "engines/blocks/loop.h"
#include "hosts/fake/fake.h"
#include "tests/unit/unit.h"
#include "x86/access.h"
#include "x86/model.h"

#define RAM_BYTES (8 * MIB)
#define CODE 0x1000

static struct machine machine;
static struct cpu *cpu;
static struct loop *loop, *other;

static int set_up(void **state)
{
	struct machine_parameters parameters = {.engine = &engine_interpreter,
		.ram = host_memory_get(RAM_BYTES),
		.ram_bytes = RAM_BYTES,
		.clock = CLOCK_REAL,
		.tsc_hz = 1000000000,
		.model = cpu_model_find("x86-64-v2"),
		.vcpu_count = 2};

	fake_reset();
	memset(&machine, 0, sizeof(machine));
	assert_int_equal(machine_init(&machine, &parameters), STATUS_OK);
	for (unsigned i = 0; i < 2; i++) {
		struct cpu *each = &machine.vcpus[i]->cpu;
		each->activity = CPU_RUNNING;
		each->cr0 = CR0_PE | CR0_ET;
		each->segments[SEGMENT_CS] = (struct segment){.selector = 8,
			.limit = ~0u,
			.attributes = SEGMENT_P | SEGMENT_S | SEGMENT_DB | SEGMENT_G | 11};
		each->segments[SEGMENT_DS] = (struct segment){.selector = 16,
			.limit = ~0u,
			.attributes = SEGMENT_P | SEGMENT_S | SEGMENT_DB | SEGMENT_G | 3};
		cpu_mode_changed(each);
	}
	cpu = &machine.vcpus[0]->cpu;
	loop = loop_of(machine.vcpus[0]);
	other = loop_of(machine.vcpus[1]);
	return 0;
}

static int tear_down(void **state)
{
	u8 *ram = machine.memory.host;

	machine_fini(&machine);
	host_memory_put(ram, RAM_BYTES);
	return 0;
}

static void run(u64 at, u64 insns)
{
	cpu->regs[RIP] = at;
	assert_int_equal(engine_interpreter.run(machine.vcpus[0], insns), RUN_STOPPED);
}

/* mov $value, %eax; cpuid, which serializes; jmp to itself. */
static void put_code(u64 at, u8 value)
{
	const u8 text[] = {0xb8, value, 0, 0, 0, 0x0f, 0xa2, 0xeb, 0xfe};
	assert_true(memory_write(&machine, at, text, sizeof(text)));
}

/* The other vCPU has written the page and may do so again, unseen; it runs, and does not look at what is posted. */
static void other_may_write(u64 at)
{
	struct cpu *writer = &machine.vcpus[1]->cpu;
	store_8(writer, at + 0xfff, 0);
	assert_true(writer->data_tlb[tlb_index(at)].write == at);
	inbox_begin_run(&other->inbox, machine.vcpus[1]);
}

static const struct block *block_at(u64 at)
{
	const struct jump_entry *entry = block_jump_entry(&loop->cache, at);
	return entry->linear == at && entry->block->count ? entry->block : NULL;
}

static void what_nobody_may_write_is_not_provisional(void **state)
{
	inbox_begin_run(&other->inbox, machine.vcpus[1]);
	put_code(CODE, 1);
	run(CODE, 2);
	assert_non_null(block_at(CODE));
	assert_false(inbox_is_provisional(&loop->inbox));
}

static void unchanged_code_outlives_serializing_instructions(void **state)
{
	put_code(CODE, 1);
	other_may_write(CODE);
	run(CODE, 2);
	const struct block *block = block_at(CODE);
	assert_non_null(block);
	assert_true(inbox_is_provisional(&loop->inbox));
	run(CODE, 2);
	run(CODE, 3);
	assert_ptr_equal(block_at(CODE), block);
}

static void a_store_unseen_counts_after_a_serializing_instruction(void **state)
{
	put_code(CODE, 1);
	put_code(CODE + 0x100, 1);
	other_may_write(CODE);
	run(CODE, 2);
	store_8(&machine.vcpus[1]->cpu, CODE + 1, 7); /* by its TLB entry */
	run(CODE + 0x100, 3);
	run(CODE, 1);
	assert_int_equal(cpu->regs[RAX], 7);
}

static void an_answer_makes_it_known(void **state)
{
	put_code(CODE, 1);
	other_may_write(CODE);
	run(CODE, 1);
	store_8(&machine.vcpus[1]->cpu, CODE + 1, 7);
	inbox_empty(&other->inbox, machine.vcpus[1], false);
	assert_true(machine.vcpus[1]->cpu.data_tlb[tlb_index(CODE)].write == TLB_INVALID);
	run(CODE, 1);
	assert_int_equal(cpu->regs[RAX], 7);
	assert_false(inbox_is_provisional(&loop->inbox));
}

static void who_stands_still_need_not_answer(void **state)
{
	put_code(CODE, 1);
	other_may_write(CODE);
	run(CODE, 1);
	const struct block *block = block_at(CODE);
	inbox_end_run(&other->inbox, machine.vcpus[1]);
	run(CODE, 1);
	assert_ptr_equal(block_at(CODE), block);
	assert_false(inbox_is_provisional(&loop->inbox));
}

/* More pages than the inbox has entries: what was lost is found by the pages' own marks. */
static void lost_requests_are_answered_all_the_same(void **state)
{
	const u64 first = 0x10000, pages = INBOX_ENTRIES + 100;
	for (u64 i = 0; i < pages; i++) {
		put_code(first + i * PAGE_SIZE, 1);
		other_may_write(first + i * PAGE_SIZE);
	}
	for (u64 i = 0; i < pages; i++)
		run(first + i * PAGE_SIZE, 1);
	inbox_empty(&other->inbox, machine.vcpus[1], false);
	for (u64 i = 0; i < pages; i++) {
		u64 at = first + i * PAGE_SIZE;
		run(at, 1); /* it is watched, however often all was emptied */
		store_8(&machine.vcpus[1]->cpu, at + 1, 7);
		run(at, 1);
		assert_int_equal(cpu->regs[RAX], 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_nobody_may_write_is_not_provisional, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			unchanged_code_outlives_serializing_instructions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_store_unseen_counts_after_a_serializing_instruction, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_answer_makes_it_known, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			who_stands_still_need_not_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			lost_requests_are_answered_all_the_same, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
