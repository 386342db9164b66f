/* SPDX-License-Identifier: MIT */
/* How decoded blocks come and go (engines/blocks/block.c). */
#include "base/memory.h"
#include "core/machine.h"
#include "engines/blocks/loop.h"
#include "hosts/fake/fake.h"
#include "tests/unit/unit.h"
#include "x86/model.h"

#define RAM_BYTES (64 * MIB)
#define FIRST 0x10000

static struct machine machine;
static struct cpu *cpu;
static struct block_cache *cache;

static int set_up(void **state)
{
	struct machine_parameters parameters = {.engine = &engine_interpreter,
		.ram = host_memory_get(RAM_BYTES),
		.ram_bytes = RAM_BYTES,
		.clock = CLOCK_INSTRUCTIONS,
		.tsc_hz = 1000000000,
		.model = cpu_model_find("x86-64-v2"),
		.vcpu_count = 1};

	fake_reset();
	memset(&machine, 0, sizeof(machine));
	assert_int_equal(machine_init(&machine, &parameters), STATUS_OK);
	cpu = &machine.vcpus[0]->cpu;
	cpu->activity = CPU_RUNNING;
	cpu->cr0 = CR0_PE | CR0_ET;
	cpu->segments[SEGMENT_CS] = (struct segment){.selector = 8,
		.limit = ~0u,
		.attributes = SEGMENT_P | SEGMENT_S | SEGMENT_DB | SEGMENT_G | 11};
	cpu_mode_changed(cpu);
	cache = &loop_of(machine.vcpus[0])->cache;
	return 0;
}

static int tear_down(void **state)
{
	u8 *ram = machine.memory.host;

	machine_fini(&machine);
	host_memory_put(ram, RAM_BYTES);
	return 0;
}

/* Runs the block at `at`: NOPs, which RAM has been filled with, up to a jump to itself. */
static void run(u64 at, u64 insns)
{
	cpu->regs[RIP] = at;
	assert_int_equal(engine_interpreter.run(machine.vcpus[0], insns), RUN_STOPPED);
}

static bool has_block(u64 at)
{
	const struct jump_entry *entry = block_jump_entry(cache, at);
	return entry->linear == at && entry->block->count;
}

static bool is_watched(u64 at)
{
	return machine.memory.page_watchers[at / PAGE_SIZE];
}

static void put(u64 at)
{
	u8 text[64];
	memset(text, 0x90, sizeof(text));
	text[62] = 0xeb;
	text[63] = 0xfe;
	assert_true(memory_write(&machine, at, text, sizeof(text)));
}

/* Each block has a page of its own, and is as long as they get. */
static u64 fill_a_region(u64 at)
{
	u64 emptied = cache->regions_emptied;
	unsigned region = cache->regions.current;
	while (cache->regions.current == region) {
		put(at);
		run(at, 1);
		at += PAGE_SIZE;
	}
	assert_in_range(cache->regions_emptied - emptied, 1, 1);
	return at;
}

static void only_the_oldest_region_goes(void **state)
{
	u64 second = fill_a_region(FIRST), at = second;
	for (unsigned i = 1; i < cache->regions.count; i++) {
		assert_true(is_watched(FIRST));
		at = fill_a_region(at);
	}
	assert_false(is_watched(FIRST));
	assert_false(has_block(FIRST));
	assert_true(is_watched(second));
	assert_int_equal(cache->emptied, 0);
	run(FIRST, 63);
	assert_int_equal(cpu->regs[RIP], FIRST + 62);
}

/* Short blocks in pages of their own: there are fewer pages to be had than blocks. */
static void pages_that_run_out_are_taken_from_the_oldest(void **state)
{
	u64 at = FIRST;
	for (u32 i = 0; i < cache->pages_max + 100; i++, at += PAGE_SIZE) {
		put(at + PAGE_SIZE - 64);
		run(at + PAGE_SIZE - 2, 1);
	}
	assert_false(is_watched(FIRST));
	assert_true(has_block(at - 2));
	assert_int_equal(cache->emptied, 0);
}

/* Pages whose code was all written over are free, too, though no region went. */
static void pages_without_code_are_used_again(void **state)
{
	for (u32 i = 0; i < 2 * cache->pages_max + 100; i++) {
		u64 at = FIRST + i % 15000 * PAGE_SIZE;
		put(at);
		run(at + 62, 1);
		put(at);
	}
	assert_in_range(cache->regions_emptied, 0, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_the_oldest_region_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			pages_that_run_out_are_taken_from_the_oldest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			pages_without_code_are_used_again, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
