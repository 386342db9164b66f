/* SPDX-License-Identifier: MIT */
/* The named models, and which of them a host can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "x86/model.h"

#define V2 (cpu_model_find("x86-64-v2"))
#define V3 (cpu_model_find("x86-64-v3"))

static void each_model_offers_all_of_the_one_before(void **state)
{
	assert_ptr_equal(cpu_model_at(0), V2);
	assert_ptr_equal(cpu_model_at(1), V3);
	assert_null(cpu_model_at(2));
	assert_null(cpu_model_find("auto"));
	for (unsigned i = 1; cpu_model_at(i); i++)
		assert_false(cpu_model_at(i - 1)->features & ~cpu_model_at(i)->features);
}

static void the_best_model_is_the_last_that_the_host_runs(void **state)
{
	assert_ptr_equal(cpu_model_best(~(u64)0), V3);
	assert_ptr_equal(cpu_model_best(V3->features), V3);
	assert_ptr_equal(cpu_model_best(V3->features & ~BIT(FEATURE_MOVBE)), V2);
	assert_ptr_equal(cpu_model_best(V2->features), V2);
	assert_null(cpu_model_best(V3->features & ~BIT(FEATURE_SSE41)));
	assert_null(cpu_model_best(0));
}

static void what_a_host_lacks_is_named(void **state)
{
	char names[64];
	struct text missing;

	text_init(&missing, names, sizeof(names));
	assert_true(cpu_model_runs_on(V3, V3->features, &missing));
	assert_string_equal(names, "");
	assert_false(cpu_model_runs_on(
		V3, V3->features & ~(BIT(FEATURE_ABM) | BIT(FEATURE_FMA)), &missing));
	assert_string_equal(names, "FMA LZCNT");
}

/* Repeated string instructions run in bulk in every engine: guests do well to copy by them. */
static void repeated_string_instructions_are_said_to_be_quick(void **state)
{
	for (unsigned i = 0; cpu_model_at(i); i++)
		assert_true(cpu_model_has(cpu_model_at(i), FEATURE_ERMS));
}

static void what_touches_system_state_is_asked_of_no_host(void **state)
{
	u64 system = BIT(FEATURE_ERMS) | BIT(FEATURE_PCID) | BIT(FEATURE_SMAP) |
		BIT(FEATURE_XSAVE) | BIT(FEATURE_RDTSCP);

	assert_true(cpu_model_runs_on(V3, V3->features & ~system, NULL));
}

static void this_host_has_what_the_compiler_says(void **state)
{
	u64 host = cpu_host_features();

	__builtin_cpu_init();
#define SAME(feature, name) \
	assert_int_equal(host >> FEATURE_##feature & 1, !!__builtin_cpu_supports(name))
	SAME(SSE42, "sse4.2");
	SAME(AVX, "avx");
	SAME(AVX2, "avx2");
	SAME(FMA, "fma");
	SAME(BMI1, "bmi");
	SAME(BMI2, "bmi2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_model_offers_all_of_the_one_before),
		cmocka_unit_test(the_best_model_is_the_last_that_the_host_runs),
		cmocka_unit_test(what_a_host_lacks_is_named),
		cmocka_unit_test(repeated_string_instructions_are_said_to_be_quick),
		cmocka_unit_test(what_touches_system_state_is_asked_of_no_host),
		cmocka_unit_test(this_host_has_what_the_compiler_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
