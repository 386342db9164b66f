/* SPDX-License-Identifier: MIT */
/* Code memory in two views (core/host.h), as the fake host has it and as Linux has it (tests/sandbox says what a locked-in one refuses). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/host.h"
#include "tests/unit/unit.h"

static const u8 returns_seven[] = {0xb8, 7, 0, 0, 0, 0xc3}; /* mov $7, %eax; ret */
static const u8 returns_gs_8[] = {
	0x65, 0x48, 0x8b, 0x04, 0x25, 8, 0, 0, 0, 0xc3}; /* mov %gs:8, %rax; ret */

static struct host_code_memory memory;

static int set_up(void **state)
{
	fake_reset();
	assert_true(host_code_memory_get(5000, &memory));
	return 0;
}

static int tear_down(void **state)
{
	host_code_memory_put(&memory);
	return 0;
}

static u64 call(const u8 *code)
{
	return ((u64(*)(void))(uintptr_t)code)();
}

static void what_one_view_writes_the_other_executes(void **state)
{
	size_t last = memory.bytes - sizeof(returns_seven);

	assert_int_equal(memory.bytes, 8192);
	assert_ptr_not_equal(memory.write, memory.execute);
	memcpy(memory.write, returns_seven, sizeof(returns_seven));
	memcpy(memory.write + last, returns_seven, sizeof(returns_seven));
	assert_int_equal(call(memory.execute), 7);
	assert_int_equal(call(memory.execute + last), 7);
	memory.write[1] = 9;
	assert_int_equal(call(memory.execute), 9);
	assert_memory_equal(memory.execute + last, returns_seven, sizeof(returns_seven));
}

/* The signal that ends a child which does that; 0: none did. */
static int ends_by(void (*attempt)(void))
{
	int status;
	pid_t child = fork();

	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		attempt();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void write_by_the_executable_view(void)
{
	*(volatile u8 *)memory.execute = 0xc3;
}

static void execute_the_writable_view(void)
{
	call(memory.write);
}

static void execute_the_executable_view(void)
{
	call(memory.execute);
}

static void no_view_is_both(void **state)
{
	memcpy(memory.write, returns_seven, sizeof(returns_seven));
	assert_int_equal(ends_by(write_by_the_executable_view), SIGSEGV);
	assert_int_equal(ends_by(execute_the_writable_view), SIGSEGV);
	assert_int_equal(ends_by(execute_the_executable_view), 0);
}

static void none_left_is_said(void **state)
{
	struct host_code_memory more = {0};

	assert_false(host_code_memory_get(0, &more));
	fake_allocations_left = 0;
	assert_false(host_code_memory_get(4096, &more));
	assert_int_equal(more.bytes, 0);
	fake_allocations_left = ~0u;
	assert_true(host_code_memory_get(4096, &more));
	host_code_memory_put(&more);
	assert_null(more.write);
	host_code_memory_put(&more); /* nothing */
}

static void *read_by_gs(void *base)
{
	host_thread_base_set(base);
	return (void *)call(memory.execute);
}

static void each_thread_has_its_own_base(void **state)
{
	u64 states[2][2] = {{1, 2}, {3, 4}};
	void *results[2];
	pthread_t threads[2];

	memcpy(memory.write, returns_gs_8, sizeof(returns_gs_8));
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_by_gs, states[i]), 0);
	host_thread_base_set(&states[1][0]);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], &results[i]);
	assert_int_equal((u64)results[0], 2);
	assert_int_equal((u64)results[1], 4);
	assert_int_equal(call(memory.execute), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_one_view_writes_the_other_executes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_view_is_both, set_up, tear_down),
		cmocka_unit_test_setup_teardown(none_left_is_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(each_thread_has_its_own_base, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
