/* SPDX-License-Identifier: MIT */
/* The machine description in its three forms. */
#include "base/text.h"
#include "control/config.h"
#include "control/disk.h"
#include "tests/unit/unit.h"

static struct machine_config config, other;
static struct error error;

static int set_up(void **state)
{
	config_init(&config);
	config_init(&other);
	error.text[0] = 0;
	return 0;
}

/* From an exactly sized copy, so that the sanitizer sees a read past the end. */
static enum status read_json(const char *json, size_t bytes, enum config_audience audience)
{
	char *copy = malloc(bytes ? bytes : 1);
	enum status status;

	memcpy(copy, json, bytes);
	status = config_read(&config, copy, bytes, audience, &error);
	free(copy);
	return status;
}

static void sizes_have_units(void **state)
{
	static const struct {
		const char *text;
		u64 bytes;
	} good[] = {{"0", 0}, {"4096", 4096}, {"64K", 65536}, {"512M", 512 * MIB}, {"2G", 2 * GIB},
		{"1t", (u64)1 << 40}, {"18446744073709551615", ~(u64)0}};
	static const char *const bad[] = {"", "M", "12Q", "1.5G", "-1", " 1", "1 M", "512MB",
		"0x10", "18446744073709551616", "17179869184G"};
	u64 bytes = 7;

	for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(config_parse_size(good[i].text, &bytes));
		assert_int_equal(bytes, good[i].bytes);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(config_parse_size(bad[i], &bytes));
}

static void defaults_are_good(void **state)
{
	assert_int_equal(config.memory, 512 * MIB);
	assert_int_equal(config.ram_fd, -1);
	assert_string_equal(config.append, "console=ttyS0");
	assert_int_equal(config_check(&config, &error), STATUS_OK);
	for (unsigned i = 0; i < config_field_count; i++) {
		const struct config_field *field = &config_fields[i];
		bool is_none = !field->fallback[0] &&
			(!strncmp(field->argument, "FILE", 4) || !strcmp(field->name, "name") ||
				field->kind == CONFIG_LIST);
		assert_int_equal(config_set(&config, field, field->fallback, &error),
			is_none ? STATUS_INVALID : STATUS_OK);
	}
}

static void what_is_written_is_read(void **state)
{
	static char json[CONFIG_JSON_BYTES_MAX];
	struct text text;

	strcpy(other.notice, "a \"b\" \\ \n\x7f \xc3\xa4");
	strcpy(other.append, "x=\"y z\"\tq");
	other.memory = 3 * GIB;
	other.no_reboot = true;
	other.ram_fd = 12;
	text_init(&text, json, sizeof(json));
	assert_int_equal(config_write(&other, CONFIG_RUNNER, &text), STATUS_OK);
	assert_int_equal(read_json(json, text.length, CONFIG_RUNNER), STATUS_OK);
	assert_memory_equal(&config, &other, sizeof(config));
}

static void paths_do_not_reach_the_runner(void **state)
{
	static char json[CONFIG_JSON_BYTES_MAX];
	struct text text;

	strcpy(other.kernel, "/secret/path");
	text_init(&text, json, sizeof(json));
	assert_int_equal(config_write(&other, CONFIG_RUNNER, &text), STATUS_OK);
	assert_null(strstr(json, "secret"));
	assert_int_equal(read_json("{\"kernel\":\"x\"}", 14, CONFIG_RUNNER), STATUS_INVALID);
}

static void json_strings_are_unescaped(void **state)
{
	const char *json = "{\"append\" : \"\\u0041\\u00e4\\ud83d\\ude00\\n\\/\"}";

	assert_int_equal(read_json(json, strlen(json), CONFIG_USER), STATUS_OK);
	assert_string_equal(config.append, "A\xc3\xa4\xf0\x9f\x98\x80\n/");
}

static void bad_json_names_its_line(void **state)
{
	static const struct {
		const char *json, *text;
	} cases[] = {
		{"", "line 1"},
		{"[]", "line 1"},
		{"{", "ends too early"},
		{"{\n\n\"frob\": 1}", "line 3: unknown field frob"},
		{"{\"name\": 1}", "expected a string for name"},
		{"{\"cpus\": \"1\"}", "expected a number for cpus"},
		{"{\"cpus\": 01}", "expected a number for cpus"},
		{"{\"cpus\": 1.5}", "expected a number for cpus"},
		{"{\"cpus\": 99999999999}", "bad value for cpus"},
		{"{\"memory\": \"12Q\"}", "bad value for memory"},
		{"{\"no_reboot\": 1}", "expected true or false"},
		{"{\"no-reboot\": true}", "unknown field"},
		{"{\"name\": \"a\",\n\"name\": \"b\"}", "line 2: there already is a field name"},
		{"{\"name\": \"a\" \"cpus\": 1}", "line 1"},
		{"{\"name\" \"a\"}", "line 1"},
		{"{\"name\": \"a\",}", "line 1"},
		{"{,\"name\": \"a\"}", "line 1"},
		{"{\"name\": \"a\"} x", "line 1"},
		{"{\"name\": [\"a\"]}", "line 1"},
		{"{\"name\": {}}", "expected a string"},
		{"{\"name\": \"\\u0000\"}", "expected a string"},
		{"{\"name\": \"\\ud800\"}", "expected a string"},
		{"{\"name\": \"a\nb\"}", "expected a string"},
		{"{\"ram_fd\": 3}", "unknown field"},
		{"{\"disk\": 1}", "expected a list of strings for disk"},
		{"{\"disk\": \"a\", \"disks\": [\"b\"]}", "there already is a field disks"},
		{"{\"names\": \"a\"}", "unknown field names"},
		{"{\"disk\": [1]}", "expected a list of strings for disk"},
		{"{\"disk\": [[\"a\"]]}", "line 1"},
		{"{\"disk\": [\"a\" \"b\"]}", "expected a list of strings for disk"},
		{"{\"disk\": [\"a\",]}", "misplaced punctuation in disk"},
		{"{\"disk\": [\"a\nb\"]}", "expected a list of strings for disk"},
		{"{\"disk\": [\"\"]}", "expected a list of strings for disk"},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		error.text[0] = 0;
		assert_int_equal(read_json(cases[i].json, strlen(cases[i].json), CONFIG_USER),
			STATUS_INVALID);
		if (!strstr(error.text, cases[i].text))
			fail_msg("%s: '%s' does not say '%s'", cases[i].json, error.text,
				cases[i].text);
	}
}

static void a_list_of_one_needs_no_brackets(void **state)
{
	const char *json = "{\"disk\": \"a\", \"nets\": [\"user\", \"none\"]}";

	assert_int_equal(read_json(json, strlen(json), CONFIG_USER), STATUS_OK);
	assert_string_equal(config.disk, "a\n");
	assert_string_equal(config.net, "user\nnone\n");
}

static void json_cut_anywhere_is_refused(void **state)
{
	const char *json =
		"{ \"name\": \"g\\u0041\", \"memory\": \"1G\", \"no_reboot\": true, \"cpus\": 1, "
		"\"disk\": [\"a\", \"b\"]}";

	for (size_t cut = 0; cut < strlen(json); cut++)
		assert_int_equal(read_json(json, cut, CONFIG_USER), STATUS_INVALID);
	assert_int_equal(read_json(json, strlen(json), CONFIG_USER), STATUS_OK);
}

static void values_that_cannot_be_are_refused(void **state)
{
	config.memory = 12345;
	assert_int_equal(config_check(&config, &error), STATUS_INVALID);
	config.memory = MIB + 1;
	assert_int_equal(config_check(&config, &error), STATUS_INVALID);
	config_init(&config);
	config.code_cache = MIB - 4096;
	assert_int_equal(config_check(&config, &error), STATUS_INVALID);
	config.code_cache = GIB + 4096;
	assert_int_equal(config_check(&config, &error), STATUS_INVALID);
	config.code_cache = MIB + 1;
	assert_int_equal(config_check(&config, &error), STATUS_INVALID);
	config.code_cache = GIB;
	assert_int_equal(config_check(&config, &error), STATUS_OK);
	config_init(&config);
	assert_int_equal(config.code_cache, 32 * MIB);
	memcpy(config.verify_translations, "yes", 4);
	assert_int_equal(config_check(&config, &error), STATUS_INVALID);
	memcpy(config.verify_translations, "strict", 7);
	assert_int_equal(config_check(&config, &error), STATUS_OK);
	config_init(&config);
	config.cpus = 0;
	assert_int_equal(config_check(&config, &error), STATUS_INVALID);
	config.cpus = 33;
	assert_int_equal(config_check(&config, &error), STATUS_INVALID);
	config.cpus = 2;
	strcpy(config.clock, "instructions");
	assert_int_equal(config_check(&config, &error), STATUS_UNSUPPORTED);
	config_init(&config);
	config.cpus = 2;
	strcpy(config.engine, "lockstep");
	assert_int_equal(config_check(&config, &error), STATUS_UNSUPPORTED);
	config.cpus = 1;
	config.lockstep_window = 0;
	assert_int_equal(config_check(&config, &error), STATUS_INVALID);
	config_init(&config);
	strcpy(config.engine, "steam");
	assert_int_equal(config_check(&config, &error), STATUS_INVALID);
	config_init(&config);
	strcpy(config.clock, "sun");
	assert_int_equal(config_check(&config, &error), STATUS_INVALID);
}

static void lists_grow_and_are_written_and_read(void **state)
{
	static char json[CONFIG_JSON_BYTES_MAX];
	const struct config_field *disk = config_field_find("disk", CONFIG_USER);
	const char *at = other.disk;
	struct text text;
	char one[100];

	assert_int_equal(config_set(&other, disk, "a \"b\".img,ro", &error), STATUS_OK);
	assert_int_equal(config_set(&other, disk, "c", &error), STATUS_OK);
	assert_int_equal(config_set(&other, disk, "a\nb", &error), STATUS_INVALID);
	assert_true(config_list_next(&at, one, sizeof(one)));
	assert_string_equal(one, "a \"b\".img,ro");
	assert_true(config_list_next(&at, one, sizeof(one)));
	assert_string_equal(one, "c");
	assert_false(config_list_next(&at, one, sizeof(one)));
	text_init(&text, json, sizeof(json));
	assert_int_equal(config_write(&other, CONFIG_USER, &text), STATUS_OK);
	assert_int_equal(read_json(json, text.length, CONFIG_USER), STATUS_OK);
	assert_memory_equal(&config, &other, sizeof(config));
}

static void a_list_that_is_full_is_refused(void **state)
{
	const struct config_field *disk = config_field_find("disk", CONFIG_USER);
	char name[1001];
	unsigned taken = 0;

	memset(name, 'n', 1000);
	name[1000] = 0;
	while (config_set(&config, disk, name, &error) == STATUS_OK)
		taken++;
	assert_int_equal(taken, 8);
	assert_int_equal(strlen(config.disk), 8 * 1001);
}

static void what_a_disk_may_be_is_checked(void **state)
{
	static const char *const good[] = {"a", "a,ro", "a,format=raw,ro", "a,serial=x y",
		"a,,b,ro", "a,serial=12345678901234567890"};
	static const char *const bad[] = {"", ",ro", "a,rw", "a,format=vhd", "a,ro,b",
		"a,serial=123456789012345678901", "a,serial=\x01", "a,ro=yes"};
	struct disk_option disk;

	for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(disk_option_parse(good[i], &disk, &error), STATUS_OK);
	assert_string_equal(disk.serial, "12345678901234567890");
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(disk_option_parse(bad[i], &disk, &error), STATUS_INVALID);
	assert_int_equal(
		disk_option_parse("a,,b,ro,serial=s,format=qcow2", &disk, &error), STATUS_OK);
	assert_string_equal(disk.file, "a,b");
	assert_string_equal(disk.serial, "s");
	assert_true(disk.is_read_only);
	assert_int_equal(disk.format, DISK_FORMAT_QCOW2);
}

static void names_are_words(void **state)
{
	static const char *const good[] = {"a", "7", "Web-1", "a.b_c", "guest-2"};
	static const char *const bad[] = {
		"", ".", "..", "-a", "_a", "a/b", "../a", "a b", "a\n", "a*", "\xc3\xa4", "a\x80"};

	for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(config_name_is_good(good[i]));
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(config_name_is_good(bad[i]));
}

static void limits_have_ranges(void **state)
{
	const struct config_field *limit = config_field_find("cpu-limit", CONFIG_USER);

	assert_int_equal(config_set(&config, limit, "150%", &error), STATUS_OK);
	assert_int_equal(config.cpu_limit, 150);
	assert_int_equal(config_set(&config, limit, "150%%", &error), STATUS_INVALID);
	assert_int_equal(config_set(&config, limit, "1.5", &error), STATUS_INVALID);
	assert_int_equal(config_set(&config, config_field_find("cpus", CONFIG_USER), "1%", &error),
		STATUS_INVALID);
	config.cpu_limit = 3201;
	assert_int_equal(config_check(&config, &error), STATUS_INVALID);
	config_init(&config);
	config.cpu_weight = 0;
	assert_int_equal(config_check(&config, &error), STATUS_INVALID);
	config.cpu_weight = 10001;
	assert_int_equal(config_check(&config, &error), STATUS_INVALID);
	config_init(&config);
	config.memory_limit = 4096;
	assert_int_equal(config_check(&config, &error), STATUS_INVALID);
}

static void a_record_is_not_for_people(void **state)
{
	assert_null(config_field_find("front_pid", CONFIG_USER));
	assert_null(config_field_find("front_pid", CONFIG_RUNNER));
	assert_non_null(config_field_find("front_pid", CONFIG_RECORD));
}

static void a_text_too_long_is_refused(void **state)
{
	char text[65];

	memset(text, 'n', 64);
	text[64] = 0;
	assert_int_equal(config_set(&config, config_field_find("name", CONFIG_USER), text, &error),
		STATUS_INVALID);
	assert_non_null(strstr(error.text, "63"));
	text[63] = 0;
	assert_int_equal(config_set(&config, config_field_find("name", CONFIG_USER), text, &error),
		STATUS_OK);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sizes_have_units),
		TEST(defaults_are_good),
		TEST(what_is_written_is_read),
		TEST(paths_do_not_reach_the_runner),
		TEST(json_strings_are_unescaped),
		TEST(bad_json_names_its_line),
		TEST(a_list_of_one_needs_no_brackets),
		TEST(json_cut_anywhere_is_refused),
		TEST(values_that_cannot_be_are_refused),
		TEST(names_are_words),
		TEST(limits_have_ranges),
		TEST(a_record_is_not_for_people),
		TEST(a_text_too_long_is_refused),
		TEST(lists_grow_and_are_written_and_read),
		TEST(a_list_that_is_full_is_refused),
		TEST(what_a_disk_may_be_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
