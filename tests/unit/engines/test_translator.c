/* SPDX-License-Identifier: MIT */
/* The translator's run loop (engines/translator/run.c). */
#include "base/memory.h"
#include "core/machine.h"
#include "engines/translator/translator.h"
#include "hosts/fake/fake.h"
#include "tests/unit/unit.h"
#include "x86/model.h"

#define RAM_BYTES (1 * MIB)
#define CODE 0x1000
#define TABLES 0x10000

static struct machine machine;
static struct vcpu *vcpu;
static struct translator *translator;

static void put(u64 at, const void *bytes, u64 count)
{
	assert_true(memory_write(&machine, at, bytes, count));
}

/* The first 2 MiB where they are. */
static void make_tables(void)
{
	const u64 level_4 = (TABLES + 0x1000) | 7, level_3 = (TABLES + 0x2000) | 7, level_2 = 0x87;
	put(TABLES, &level_4, 8);
	put(TABLES + 0x1000, &level_3, 8);
	put(TABLES + 0x2000, &level_2, 8);
}

static void enter_64_bit_code(struct cpu *cpu)
{
	cpu->cr0 = CR0_PE | CR0_PG | CR0_ET;
	cpu->cr4 = CR4_PAE;
	cpu->efer = EFER_LME | EFER_LMA;
	cpu->cr3 = TABLES;
	cpu->segments[SEGMENT_CS] = (struct segment){.selector = 8,
		.limit = ~0u,
		.attributes = SEGMENT_P | SEGMENT_S | SEGMENT_L | SEGMENT_G | 11};
	cpu->regs[RIP] = CODE;
	cpu_mode_changed(cpu);
}

static int set_up_with(enum clock_kind clock)
{
	struct machine_parameters parameters = {.engine = &engine_translator,
		.ram = host_memory_get(RAM_BYTES),
		.ram_bytes = RAM_BYTES,
		.clock = clock,
		.tsc_hz = 1000000000,
		.model = cpu_model_find("x86-64-v2"),
		.translate_after = 1,
		.code_cache_bytes = 1 * MIB,
		.vcpu_count = 1};

	fake_reset();
	memset(&machine, 0, sizeof(machine));
	assert_int_equal(machine_init(&machine, &parameters), STATUS_OK);
	clock_start(&machine.clock);
	vcpu = machine.vcpus[0];
	translator = translator_of(vcpu);
	make_tables();
	enter_64_bit_code(&vcpu->cpu);
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(CLOCK_INSTRUCTIONS);
}

static int set_up_real(void **state)
{
	return set_up_with(CLOCK_REAL);
}

static int tear_down(void **state)
{
	u8 *ram = machine.memory.host;

	machine_fini(&machine);
	host_memory_put(ram, RAM_BYTES);
	return 0;
}

static const struct translation *translation_at(u64 linear)
{
	const struct jump_entry *entry = block_jump_entry(&translator->loop.cache, linear);
	assert_int_equal(entry->linear, linear);
	assert_non_null(entry->block->translation);
	return entry->block->translation;
}

static void a_jump_is_linked_to_where_it_led(void **state)
{
	put(CODE, "\xeb\x3e", 2);		 /* jmp CODE + 40h */
	put(CODE + 0x40, "\x90\x90\xeb\xbc", 4); /* nop; nop; jmp CODE */
	assert_int_equal(engine_translator.run(vcpu, 5), RUN_STOPPED);
	assert_int_equal(vcpu->cpu.regs[RIP], CODE + 0x40);
	assert_non_null(translation_at(CODE + 0x40)->incoming);
}

/* Making the target may find the arena full: then the edge is gone with the rest. */
static void an_edge_that_is_gone_is_not_linked(void **state)
{
	struct block_cache *cache = &translator->loop.cache;
	put(CODE, "\xeb\x3e", 2);
	put(CODE + 0x40, "\x90\x90\xeb\xbc", 4);
	assert_int_equal(engine_translator.run(vcpu, 1), RUN_STOPPED);
	assert_int_equal(vcpu->cpu.regs[RIP], CODE + 0x40);
	while (region_take(&cache->regions, 64))
		;
	unsigned region = cache->regions.current;
	assert_int_equal(engine_translator.run(vcpu, 3), RUN_STOPPED);
	assert_int_equal(vcpu->cpu.regs[RIP], CODE);
	assert_true(cache->regions.current != region);
	assert_null(translation_at(CODE + 0x40)->incoming);
}

/* Though the instruction in its shadow has run by itself the first time. */
static void sti_is_linked_to_what_follows(void **state)
{
	put(CODE, "\xfb\x90\xfa\xf4", 4); /* sti; nop; cli; hlt */
	for (unsigned i = 0; i < 3; i++) {
		vcpu->cpu.regs[RIP] = CODE;
		vcpu->cpu.activity = CPU_RUNNING;
		assert_int_equal(engine_translator.run(vcpu, 100), RUN_IDLE);
		assert_int_equal(vcpu->cpu.regs[RIP], CODE + 4);
		assert_false(vcpu->cpu.other_flags & RFLAGS_IF);
	}
	const struct translation *sti = translation_at(CODE);
	assert_int_equal(sti->edge_count, 1);
	assert_ptr_equal(sti->edges[0].target, translation_at(CODE + 1));
}

static u64 first_way_of(u64 linear)
{
	return vcpu->cpu.data_tlb[tlb_index(linear)].read;
}

/* Two pages that share a place in the TLB: the one that is used from now on gets the first way. */
static void a_page_that_is_used_comes_back_to_the_first_way(void **state)
{
	const u64 apart = (u64)TLB_ENTRIES << PAGE_SHIFT, level_2 = 0x87;
	put(TABLES + 0x2000 + (apart >> 21) * 8, &level_2, 8);
	put(CODE, "\x8b\x03\xeb\xfc", 4); /* mov eax, [rbx]; jmp CODE */
	for (unsigned i = 0; i < 2; i++) {
		vcpu->cpu.regs[RBX] = i ? 0x5000 + apart : 0x5000;
		assert_int_equal(engine_translator.run(vcpu, 20), RUN_STOPPED);
		assert_true(first_way_of(0x5000) == vcpu->cpu.regs[RBX]);
	}
	vcpu->cpu.regs[RBX] = 0x5000;
	assert_int_equal(engine_translator.run(vcpu, 20), RUN_STOPPED);
	assert_true(first_way_of(0x5000) == 0x5000 + apart);
	assert_int_equal(engine_translator.run(vcpu, 1000), RUN_STOPPED);
	assert_true(first_way_of(0x5000) == 0x5000);
}

/* Both of two targets that share a set of the table are found there. */
static void two_targets_of_one_set_are_both_remembered(void **state)
{
	u64 first = 0x8000, second = first + 16;
	while (jump_set_offset(second) != jump_set_offset(first))
		second += 16;
	put(CODE, "\xff\xe3", 2);	       /* jmp rbx */
	put(first, "\x48\x87\xd9\xff\xe2", 5); /* xchg rcx, rbx; jmp rdx */
	put(second, "\x48\x87\xd9\xff\xe2", 5);
	vcpu->cpu.regs[RBX] = first;
	vcpu->cpu.regs[RCX] = second;
	vcpu->cpu.regs[RDX] = CODE;
	assert_int_equal(engine_translator.run(vcpu, 60), RUN_STOPPED);
	const struct jump_set *set =
		(const struct jump_set *)(uintptr_t)(vcpu->cpu.engine_words[WORD_JUMPS] +
			jump_set_offset(first));
	for (unsigned i = 0; i < ARRAY_SIZE(set->ways); i++) {
		u64 linear = set->ways[i].linear;
		assert_true(linear == first || linear == second);
		assert_ptr_equal(set->ways[i].code,
			translator->code.execute + translation_at(linear)->entry_saved);
	}
	assert_true(set->ways[0].linear != set->ways[1].linear);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_jump_is_linked_to_where_it_led, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_edge_that_is_gone_is_not_linked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_page_that_is_used_comes_back_to_the_first_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			sti_is_linked_to_what_follows, set_up_real, tear_down),
		cmocka_unit_test_setup_teardown(
			two_targets_of_one_set_are_both_remembered, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
