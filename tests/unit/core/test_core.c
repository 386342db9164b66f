/* SPDX-License-Identifier: MIT */
/* Clock, events, buses, memory and saved state of a machine with an engine that does nothing. */
#include "base/bits.h"
#include "core/machine.h"
#include "tests/unit/unit.h"
#include "x86/model.h"

#define RAM_BYTES (4 * MIB)

/* ---- an engine that does nothing but count what it is told ---- */

static unsigned changes;
static u64 changed_gpa;

static enum status attach(struct machine *machine)
{
	return STATUS_OK;
}
static void detach(struct machine *machine) {}
static enum status attach_vcpu(struct vcpu *vcpu)
{
	return STATUS_OK;
}
static void nothing(struct vcpu *vcpu) {}
static void memory_changed(struct machine *machine, u64 gpa, u64 bytes, struct vcpu *by)
{
	changes++;
	changed_gpa = gpa;
}
static u64 retired(struct vcpu *vcpu)
{
	return 0;
}
static const struct engine_ops idle_engine = {.name = "idle",
	.machine_attach = attach,
	.machine_detach = detach,
	.vcpu_attach = attach_vcpu,
	.vcpu_detach = nothing,
	.memory_changed = memory_changed,
	.insns_retired = retired,
	.kick = nothing,
	.pull_state = nothing,
	.push_state = nothing};

static struct machine machine, other;

static void create(struct machine *made, u64 ram_bytes)
{
	struct machine_parameters parameters = {.engine = &idle_engine,
		.ram = host_memory_get(ram_bytes),
		.ram_bytes = ram_bytes,
		.clock = CLOCK_REAL,
		.tsc_hz = 2000000000,
		.wall_start_ns = 5000000000,
		.model = cpu_model_find("x86-64-v2"),
		.vcpu_count = 1};
	memset(made, 0, sizeof(*made));
	assert_int_equal(machine_init(made, &parameters), STATUS_OK);
}

static void destroy(struct machine *made)
{
	u8 *ram = made->memory.host;
	machine_fini(made);
	host_memory_put(ram, RAM_BYTES);
}

static int set_up(void **state)
{
	fake_reset();
	create(&machine, RAM_BYTES);
	changes = 0;
	return 0;
}

static int tear_down(void **state)
{
	destroy(&machine);
	return 0;
}

/* ---- clock ---- */

static void time_stands_while_the_machine_is_stopped(void **state)
{
	struct clock *clock = &machine.clock;
	assert_int_equal(clock_now_ns(clock), 0);
	fake_time_ns += 500;
	assert_int_equal(clock_now_ns(clock), 0);
	clock_start(clock);
	fake_time_ns += 1000;
	assert_int_equal(clock_now_ns(clock), 1000);
	clock_stop(clock);
	fake_time_ns += 7000;
	assert_int_equal(clock_now_ns(clock), 1000);
	clock_start(clock);
	fake_time_ns += 1;
	assert_int_equal(clock_now_ns(clock), 1001);
	assert_int_equal(clock_tsc(clock), 2002);
	assert_int_equal(clock_wall_ns(clock), 5000001001);
}

static void a_tsc_deadline_is_the_first_nanosecond_that_reaches_it(void **state)
{
	struct clock clock;
	clock_init(&clock, CLOCK_INSTRUCTIONS, 2600000001, 0);
	for (u64 tsc = 1; tsc < 100000; tsc += 37) {
		clock.now_ns = clock_tsc_to_ns(&clock, tsc);
		assert_true(clock_tsc(&clock) >= tsc);
		clock.now_ns--;
		assert_true(clock_tsc(&clock) < tsc);
	}
	assert_int_equal(clock_scale(~(u64)0, 3, 2), ~(u64)0);
	assert_int_equal(clock_scale(~(u64)0, 3, 3), ~(u64)0);
	assert_int_equal(clock_scale(7, 3, 2), 10);
}

/* ---- events ---- */

static char fired[16];
static struct event first, second, third;

static void note(void *owner)
{
	size_t length = strlen(fired);
	fired[length] = *(char *)owner;
	fired[length + 1] = 0;
}

static void events_fire_in_order_of_time_then_identity(void **state)
{
	fired[0] = 0;
	event_init(&first, &machine, note, "1");
	event_init(&second, &machine, note, "2");
	event_init(&third, &machine, note, "3");
	event_set(&third, 50);
	event_set(&second, 100);
	event_set(&first, 100);
	assert_int_equal(events_next_deadline(&machine), 50);
	events_run(&machine, 99);
	assert_string_equal(fired, "3");
	events_run(&machine, 100);
	assert_string_equal(fired, "312");
	assert_int_equal(events_next_deadline(&machine), TIME_NEVER);
	event_set(&first, 10);
	event_cancel(&first);
	event_cancel(&first);
	events_run(&machine, 1000);
	assert_string_equal(fired, "312");
}

/* ---- bus ---- */

static struct bus_access seen[16];
static unsigned seen_count;
static u64 answer;

static void record(void *owner, struct bus_access *access)
{
	assert_true(seen_count < 16);
	seen[seen_count++] = *access;
	if (!access->is_write)
		access->value = answer;
	access->is_refused = access->space == BUS_MSR && access->address == 1;
}

static struct bus_region region;

static void attach_region(enum bus_space space, u64 base, u64 bytes, u8 sizes)
{
	seen_count = 0;
	region = (struct bus_region){.name = "test",
		.space = space,
		.base = base,
		.bytes = bytes,
		.sizes = sizes,
		.access = record};
	assert_int_equal(bus_attach(&machine.buses[space], &region), STATUS_OK);
}

static u64 bus_load(enum bus_space space, u64 address, unsigned size)
{
	struct bus_access access = {.space = space, .address = address, .size = size};
	assert_true(bus_dispatch(&machine, &access));
	return access.value;
}

static void what_nobody_claims_reads_as_ones(void **state)
{
	assert_int_equal(bus_load(BUS_PORT, 0x1234, 4), 0xffffffff);
	assert_int_equal(bus_load(BUS_MEMORY, 0xf0000000, 8), ~(u64)0);
}

static void a_wide_access_is_split_into_what_the_device_takes(void **state)
{
	attach_region(BUS_PORT, 0x70, 2, 1);
	answer = 0x5a;
	assert_int_equal(bus_load(BUS_PORT, 0x70, 4), 0xffff5a5a);
	assert_int_equal(seen_count, 2);
	assert_int_equal(seen[1].address, 1);
	assert_int_equal(seen[1].size, 1);
}

static void a_narrow_read_comes_out_of_a_wider_one(void **state)
{
	attach_region(BUS_MEMORY, 0xfec00000, 0x1000, 4);
	answer = 0x44332211;
	assert_int_equal(bus_load(BUS_MEMORY, 0xfec00012, 1), 0x33);
	assert_int_equal(seen[0].address, 0x10);
	assert_int_equal(seen[0].size, 4);
	struct bus_access access = {.space = BUS_MEMORY,
		.address = 0xfec00012,
		.size = 1,
		.is_write = true,
		.value = 1};
	seen_count = 0;
	bus_dispatch(&machine, &access);
	assert_int_equal(seen_count, 0);
}

static void no_device_sees_an_odd_access(void **state)
{
	attach_region(BUS_MEMORY, 0xd0000000, 0x100, 2 | 4);
	for (unsigned size = 1; size <= 8; size++) {
		for (u64 address = 0xd0000000 - 8; address < 0xd0000108; address++) {
			seen_count = 0;
			bus_load(BUS_MEMORY, address, size);
			for (unsigned i = 0; i < seen_count; i++) {
				assert_true(seen[i].size == 2 || seen[i].size == 4);
				assert_int_equal(seen[i].address % seen[i].size, 0);
				assert_true(seen[i].address + seen[i].size <= 0x100);
			}
		}
	}
}

static void regions_do_not_overlap(void **state)
{
	struct bus_region again = {.space = BUS_PORT, .base = 0x71, .bytes = 1, .access = record};
	attach_region(BUS_PORT, 0x70, 2, 1);
	assert_int_equal(bus_attach(&machine.buses[BUS_PORT], &again), STATUS_BUSY);
}

static void an_msr_that_is_not_there_or_refuses_says_so(void **state)
{
	struct bus_access access = {.space = BUS_MSR, .address = 0x1b, .size = 8};
	assert_false(bus_dispatch(&machine, &access));
	attach_region(BUS_MSR, 0x10, 2, 8);
	access.address = 0x10;
	assert_true(bus_dispatch(&machine, &access));
	access.address = 0x11;
	assert_false(bus_dispatch(&machine, &access));
}

/* ---- memory ---- */

static void memory_is_checked_at_its_ends(void **state)
{
	u64 word = 0x1122334455667788, back = 0;
	assert_true(memory_write(&machine, RAM_BYTES - 8, &word, 8));
	assert_true(memory_read(&machine, RAM_BYTES - 8, &back, 8));
	assert_int_equal(back, word);
	assert_false(memory_write(&machine, RAM_BYTES - 7, &word, 8));
	assert_false(memory_read(&machine, RAM_BYTES, &back, 1));
	assert_false(memory_read(&machine, ~(u64)0, &back, 8));
	assert_false(memory_read(&machine, 0, &back, ~(u64)0));
	assert_false(memory_read(&machine, MEMORY_HIGH_START, &back, 1));
}

static void memory_past_the_hole_begins_at_four_gib(void **state)
{
	struct memory memory = {.host = NULL, .bytes = 5 * GIB, .low_bytes = MEMORY_HOLE_START};
	u64 offset;
	assert_true(memory_offset(&memory, MEMORY_HIGH_START, 1, &offset));
	assert_int_equal(offset, MEMORY_HOLE_START);
	assert_int_equal(memory_gpa(&memory, offset), MEMORY_HIGH_START);
	assert_false(memory_offset(&memory, MEMORY_HOLE_START, 1, &offset));
	assert_false(memory_offset(&memory, MEMORY_HOLE_START - 1, 2, &offset));
	assert_true(memory_offset(&memory, 6 * GIB - 1, 1, &offset));
	assert_false(memory_offset(&memory, 6 * GIB, 1, &offset));
}

static void the_engine_hears_of_writes_to_code(void **state)
{
	u8 byte = 1;
	machine.memory.page_watchers[2]++;
	assert_true(memory_write(&machine, 0x1fff, &byte, 1));
	assert_int_equal(changes, 0);
	assert_true(memory_write(&machine, 0x2fff, &byte, 1));
	assert_int_equal(changes, 1);
	assert_int_equal(changed_gpa, 0x2000);
}

/* ---- saved state ---- */

struct thing {
	struct event timer;
	u32 number;
	u16 list[3];
	bool flag;
	u8 blob[5];
};
static const struct state_field thing_fields[] = {STATE_UINT(struct thing, number),
	STATE_ARRAY(struct thing, list), STATE_FLAG(struct thing, flag),
	STATE_BLOB(struct thing, blob), STATE_TIMER(struct thing, timer)};
static bool thing_loaded(void *object)
{
	return ((struct thing *)object)->number < 1000;
}
static const struct state_table thing_state = STATE_TABLE("thing", 1, thing_fields, thing_loaded);

static struct thing thing, other_thing;
static struct state_object thing_object, other_object;

static u8 saved[1 << 20];
static u64 saved_bytes, read_at;

static bool sink_write(void *context, const void *from, u64 bytes)
{
	if (saved_bytes + bytes > sizeof(saved))
		return false;
	memcpy(saved + saved_bytes, from, bytes);
	saved_bytes += bytes;
	return true;
}

static bool source_read(void *context, void *to, u64 bytes)
{
	if (bytes > saved_bytes - read_at)
		return false;
	memcpy(to, saved + read_at, bytes);
	read_at += bytes;
	return true;
}

static const struct state_sink sink = {.write = sink_write};
static const struct state_source source = {.read = source_read};

static void save_thing(void)
{
	create(&other, RAM_BYTES);
	thing = (struct thing){
		.number = 77, .list = {1, 2, 3}, .flag = true, .blob = {9, 8, 7, 6, 5}};
	other_thing = (struct thing){0};
	event_init(&thing.timer, &machine, note, "t");
	event_init(&other_thing.timer, &other, note, "t");
	event_set(&thing.timer, 12345);
	state_register(&machine, &thing_object, "thing0", &thing_state, &thing);
	state_register(&other, &other_object, "thing0", &thing_state, &other_thing);
	machine.memory.host[0x3003] = 0x42;
	other.memory.host[0x5000] = 0x17;
	saved_bytes = read_at = 0;
	assert_int_equal(state_save(&machine, &sink), STATUS_OK);
}

static void a_saved_machine_comes_back_as_it_was(void **state)
{
	static char lines[4096];
	struct text text;
	struct error error;
	save_thing();
	text_init(&text, lines, sizeof(lines));
	assert_int_not_equal(state_diff(&machine, &other, &text), 0);
	assert_non_null(strstr(lines, "thing0.number"));
	assert_int_equal(state_load(&other, &source, &error), STATUS_OK);
	assert_int_equal(read_at, saved_bytes);
	text_init(&text, lines, sizeof(lines));
	assert_int_equal(state_diff(&machine, &other, &text), 0);
	assert_int_equal(other_thing.timer.deadline_ns, 12345);
	assert_int_equal(events_next_deadline(&other), 12345);
	assert_int_equal(other.memory.host[0x3003], 0x42);
	assert_int_equal(other.memory.host[0x5000], 0);
	destroy(&other);
}

static void a_state_of_another_model_or_clock_is_refused(void **state)
{
	struct error error;
	save_thing();
	other.vcpus[0]->cpu.model = cpu_model_find("x86-64-v3");
	assert_int_equal(state_load(&other, &source, &error), STATUS_INVALID);
	assert_non_null(strstr(error.text, "--cpu x86-64-v2, and this one has x86-64-v3"));
	assert_int_equal(other_thing.number, 0);
	other.vcpus[0]->cpu.model = cpu_model_find("x86-64-v2");
	read_at = 0;
	other.clock.kind = CLOCK_REAL + CLOCK_INSTRUCTIONS - other.clock.kind;
	assert_int_equal(state_load(&other, &source, &error), STATUS_INVALID);
	assert_non_null(strstr(error.text, "--clock"));
	assert_int_equal(other_thing.number, 0);
	destroy(&other);
}

/* The name at the head is the description's; the clock's own field may not say something else. */
static void a_state_with_two_kinds_of_clock_is_refused(void **state)
{
	static const char field[] = "kind";
	struct error error;
	save_thing();
	u8 *kind = NULL;
	for (u64 at = 0; !kind && at < saved_bytes - 4; at++)
		kind = memcmp(saved + at, field, 4) ? NULL : saved + at + 4 + 3 * 4;
	assert_non_null(kind);
	assert_int_equal(*kind, machine.clock.kind);
	*kind ^= 1;
	assert_int_equal(state_load(&other, &source, &error), STATUS_INVALID);
	assert_non_null(strstr(error.text, "clock"));
	destroy(&other);
}

static void a_state_cut_anywhere_is_refused(void **state)
{
	struct error error;
	save_thing();
	u64 whole = saved_bytes;
	for (u64 cut = 0; cut < whole; cut += cut < 3000 ? 1 : 997) {
		saved_bytes = cut;
		read_at = 0;
		assert_int_not_equal(state_load(&other, &source, &error), STATUS_OK);
	}
	destroy(&other);
}

static void values_that_no_machine_has_are_refused(void **state)
{
	struct error error;
	save_thing();
	thing.number = 5000;
	saved_bytes = read_at = 0;
	assert_int_equal(state_save(&machine, &sink), STATUS_OK);
	assert_int_equal(state_load(&other, &source, &error), STATUS_INVALID);
	assert_non_null(strstr(error.text, "thing0"));
	destroy(&other);
}

static void a_state_with_any_byte_changed_does_no_harm(void **state)
{
	struct error error;
	save_thing();
	for (u64 at = 0; at < MIN(saved_bytes, 6000); at++) {
		saved[at] ^= 0x81;
		read_at = 0;
		enum status status = state_load(&other, &source, &error);
		(void)status;
		saved[at] ^= 0x81;
	}
	destroy(&other);
}

/* ---- machine ---- */

static void a_machine_that_finds_no_memory_leaves_nothing_behind(void **state)
{
	struct machine_parameters parameters = {.engine = &idle_engine,
		.ram = machine.memory.host,
		.ram_bytes = RAM_BYTES,
		.tsc_hz = 1000000000,
		.model = cpu_model_find("x86-64-v2"),
		.vcpu_count = 4};
	for (unsigned allowed = 0; allowed < 5; allowed++) {
		fake_allocations_left = allowed;
		assert_int_equal(machine_init(&other, &parameters), STATUS_NO_MEMORY);
	}
	fake_allocations_left = ~0u;
	assert_int_equal(machine_init(&other, &parameters), STATUS_OK);
	machine_fini(&other);
}

static void the_first_end_counts(void **state)
{
	machine_end(&machine, MACHINE_EXIT_PORT, 5);
	machine_end(&machine, MACHINE_POWER_OFF, 0);
	assert_int_equal(machine.exit, MACHINE_EXIT_PORT);
	assert_int_equal(machine.exit_value, 5);
	assert_int_equal(fake_machines_ended, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(time_stands_while_the_machine_is_stopped),
		TEST(a_tsc_deadline_is_the_first_nanosecond_that_reaches_it),
		TEST(events_fire_in_order_of_time_then_identity),
		TEST(what_nobody_claims_reads_as_ones),
		TEST(a_wide_access_is_split_into_what_the_device_takes),
		TEST(a_narrow_read_comes_out_of_a_wider_one),
		TEST(no_device_sees_an_odd_access),
		TEST(regions_do_not_overlap),
		TEST(an_msr_that_is_not_there_or_refuses_says_so),
		TEST(memory_is_checked_at_its_ends),
		TEST(memory_past_the_hole_begins_at_four_gib),
		TEST(the_engine_hears_of_writes_to_code),
		TEST(a_saved_machine_comes_back_as_it_was),
		TEST(a_state_of_another_model_or_clock_is_refused),
		TEST(a_state_with_two_kinds_of_clock_is_refused),
		TEST(a_state_cut_anywhere_is_refused),
		TEST(values_that_no_machine_has_are_refused),
		TEST(a_state_with_any_byte_changed_does_no_harm),
		TEST(a_machine_that_finds_no_memory_leaves_nothing_behind),
		TEST(the_first_end_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
