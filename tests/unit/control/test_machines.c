/* SPDX-License-Identifier: MIT */
/* Several descriptions in one file: each is read or told, whatever the others are. */
#include "control/machines.h"
#include "tests/unit/unit.h"

static struct machines machines;
static struct machine_config config;
static struct error error;
static char *copy;

/* An exactly sized copy, so that the sanitizer sees a read past the end. */
static enum status open_list(const char *json, size_t bytes)
{
	free(copy);
	copy = malloc(bytes ? bytes : 1);
	memcpy(copy, json, bytes);
	return machines_open(&machines, copy, bytes, &error);
}

static int tear_down(void **state)
{
	free(copy);
	copy = NULL;
	return 0;
}

/* What a walk over the list comes to: a character a machine, o for one that is right, x for one that is wrong. */
static const char *walk(const char *json)
{
	static char result[MACHINES_MAX + 2];
	enum status status = open_list(json, strlen(json));
	unsigned count = 0;

	while (status != STATUS_END && count < sizeof(result) - 1) {
		if (status != STATUS_OK)
			result[count++] = 'x';
		status = machines_next(&machines, &config, &error);
		if (status == STATUS_OK)
			result[count++] = 'o';
	}
	result[count] = 0;
	return result;
}

static void each_is_read_over_the_defaults(void **state)
{
	const char *json = " {\"machines\" :\n[ {\"name\": \"a\", \"cpus\": 2} ,"
			   "{\"name\": \"b{\\\"\", \"append\": \"}]\\\\\"}] } ";

	assert_int_equal(open_list(json, strlen(json)), STATUS_OK);
	assert_int_equal(machines_next(&machines, &config, &error), STATUS_OK);
	assert_string_equal(config.name, "a");
	assert_int_equal(config.cpus, 2);
	assert_int_equal(machines_next(&machines, &config, &error), STATUS_INVALID); /* b{" */
	assert_int_equal(machines_next(&machines, &config, &error), STATUS_END);
	assert_int_equal(machines_next(&machines, &config, &error), STATUS_END);
	json = "{\"machines\": [{\"name\": \"a\", \"cpus\": 2}, {\"name\": \"b\", \"append\": \"}]\\\\\\\"\"}]}";
	assert_int_equal(open_list(json, strlen(json)), STATUS_OK);
	assert_int_equal(machines_next(&machines, &config, &error), STATUS_OK);
	assert_int_equal(machines_next(&machines, &config, &error), STATUS_OK);
	assert_string_equal(config.append, "}]\\\"");
	assert_int_equal(config.cpus, 1);
	assert_int_equal(machines_next(&machines, &config, &error), STATUS_END);
}

static void one_that_is_wrong_does_not_hide_the_others(void **state)
{
	static const struct {
		const char *json, *walk, *error; /* the last error */
	} cases[] = {
		{"{\"machines\": []}", "", ""},
		{"{\"machines\": [{\"name\": \"a\"}]}", "o", ""},
		{"{\"machines\": [{\"name\": \"a\", \"cpus\": 99}, {\"name\": \"b\"}]}", "xo",
			"line 1: machine a: --cpus 99"},
		{"{\"machines\": [\n{\"name\": \"a\",\n\"frob\": 1}, {\"name\": \"b\"}]}", "xo",
			"line 3: unknown field frob"},
		{"{\"machines\": [{\"name\": \"a\"},\n{\"name\": \"a\"}, {\"name\": \"b\"}]}",
			"oxo", "line 2: there already is a machine a"},
		{"{\"machines\": [\n{}, {\"name\": \"b\"}]}", "xo",
			"line 2: a machine without a name"},
		{"{\"machines\": [{\"name\": \"a\"} {\"name\": \"b\"}]}", "ox",
			"line 1: expected a comma"},
		{"{\"machines\": [{\"name\": \"a\"},]}", "ox", "expected a machine's { }"},
		{"{\"machines\": [1]}", "x", "expected a machine's { }"},
		{"{\"machines\": [\n{\"name\": \"a\"}", "ox", "line 2: expected a comma or ]"},
		{"{\"machines\": [{\"name\": \"a\"", "x", "expected a } that ends"},
		{"{\"machines\": [{\"name\": \"a\"}]", "ox", "expected } behind"},
		{"{\"machines\": [{\"name\": \"a\"}]}\n}", "ox", "line 2: expected nothing"},
		{"{\"machines\": {}}", "x", "line 1: expected {\"machines\": ["},
		{"[]", "x", "line 1"},
		{"", "x", "line 1"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		error.text[0] = 0;
		assert_string_equal(walk(cases[i].json), cases[i].walk);
		if (!strstr(error.text, cases[i].error))
			fail_msg("%s: '%s' does not say '%s'", cases[i].json, error.text,
				cases[i].error);
	}
}

static void there_is_a_most(void **state)
{
	static char json[8192];
	int at = sprintf(json, "{\"machines\": [");

	for (int i = 0; i <= MACHINES_MAX; i++)
		at += sprintf(json + at, "%s{\"name\": \"m%d\"}", i ? "," : "", i);
	sprintf(json + at, "]}");
	walk(json);
	assert_int_equal(machines.count, MACHINES_MAX);
	assert_non_null(strstr(error.text, "at most 32 machines"));
}

static void cut_anywhere_it_is_not_whole(void **state)
{
	const char *json = "{ \"machines\": [ {\"name\": \"a\"}, {\"name\": \"b\\\"\"} ] }";

	for (size_t cut = 0; cut < strlen(json); cut++) {
		enum status status = open_list(json, cut), worst = status;

		while (status != STATUS_END) {
			worst = status == STATUS_OK ? worst : status;
			status = machines_next(&machines, &config, &error);
		}
		assert_int_equal(worst, STATUS_INVALID);
	}
}

static void a_list_is_told_from_one_description(void **state)
{
	static const char list[] = "\n{ \"machines\": 1", one[] = "{\"name\": \"machines\"}";

	assert_true(machines_is_list(list, sizeof(list) - 1));
	assert_false(machines_is_list(one, sizeof(one) - 1));
	assert_false(machines_is_list("", 0));
	assert_false(machines_is_list("{\"machine", 9));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(each_is_read_over_the_defaults, tear_down),
		cmocka_unit_test_teardown(one_that_is_wrong_does_not_hide_the_others, tear_down),
		cmocka_unit_test_teardown(there_is_a_most, tear_down),
		cmocka_unit_test_teardown(cut_anywhere_it_is_not_whole, tear_down),
		cmocka_unit_test(a_list_is_told_from_one_description),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
