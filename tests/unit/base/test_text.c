/* SPDX-License-Identifier: MIT */
#include "base/status.h"
#include "base/text.h"
#include "tests/unit/unit.h"

static const char *formatted(const char *format, ...)
{
	static char buffer[128];
	struct text text;
	va_list arguments;
	text_init(&text, buffer, sizeof(buffer));
	va_start(arguments, format);
	text_format_list(&text, format, arguments);
	va_end(arguments);
	return buffer;
}

static void formats_come_out_as_with_libc(void **state)
{
	char expected[128];
#define SAME(...)                                                      \
	do {                                                           \
		snprintf(expected, sizeof(expected), __VA_ARGS__);     \
		assert_string_equal(formatted(__VA_ARGS__), expected); \
	} while (0)
	SAME("plain %% text");
	SAME("%d %i %u", -5, 7, 4000000000u);
	SAME("%ld %lu %lx", -5l, ~0ul, 0xdeadbeeful);
	SAME("%5d|%-5d|%05d|%-5d|", 42, 42, -42, -42);
	SAME("%x %X %08x", 0xabcu, 0xabcu, 0xabcu);
	SAME("%s|%5s|%-5s|%.2s", "abc", "abc", "abc", "abc");
	SAME("%c%c", 'a', 'b');
	SAME("%*d|%.*s", 6, 7, 2, "xyz");
	assert_string_equal(
		formatted("%hhu %hu", 300, 70000), "44 4464"); /* SAME, but for clang's warning */
	SAME("%zu", (size_t)12345);
	SAME("%d", -2147483647 - 1);
}

static void a_full_buffer_cuts_and_says_so(void **state)
{
	char buffer[5];
	struct text text;
	text_init(&text, buffer, sizeof(buffer));
	text_append(&text, "abcdefgh");
	assert_string_equal(buffer, "abcd");
	assert_true(text.truncated);
	assert_int_equal(text.length, 4);
}

static void strings_compare(void **state)
{
	assert_true(text_equal("abc", "abc"));
	assert_false(text_equal("abc", "abcd"));
	assert_true(text_starts_with("abcd", "abc"));
	assert_false(text_starts_with("ab", "abc"));
	assert_int_equal(text_length("abc"), 3);
}

static void an_error_is_one_cut_line(void **state)
{
	struct error error;
	assert_int_equal(error_set(&error, STATUS_INVALID, "%s is wrong", "it"), STATUS_INVALID);
	assert_string_equal(error.text, "it is wrong");
	assert_int_equal(error_set(NULL, STATUS_IO, "nobody listens"), STATUS_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_come_out_as_with_libc),
		cmocka_unit_test(a_full_buffer_cuts_and_says_so),
		cmocka_unit_test(strings_compare),
		cmocka_unit_test(an_error_is_one_cut_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
