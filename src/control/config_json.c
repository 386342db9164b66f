/* SPDX-License-Identifier: MIT */
/*
 * The machine description as JSON (RFC 8259): one flat object. jsmn cuts the text into tokens but is lenient about
 * what lies between them and inside them, so both are checked here.
 */
#include "control/config.h"

#include "base/memory.h"

#define JSMN_STATIC
#define JSMN_STRICT
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wundef"
#include <jsmn.h>
#pragma GCC diagnostic pop

#define TOKENS_MAX 128

struct reader {
	const char *json;
	size_t bytes;
	unsigned line; /* of its first byte */
	struct error *error;
	char value[4096]; /* of the field being read, as config_set takes it */
};

static enum status fail(const struct reader *reader, size_t at, const char *what, const char *name)
{
	unsigned line = reader->line;

	for (size_t i = 0; i < at && i < reader->bytes; i++)
		line += reader->json[i] == '\n';
	return error_set(reader->error, STATUS_INVALID, "line %u: %s%s%.64s", line, what,
		*name ? " " : "", name);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Between two tokens there is white space and `separator` exactly once (0: white space alone). */
static bool gap_is(const struct reader *reader, size_t from, size_t to, char separator)
{
	for (size_t i = from; i < to; i++) {
		if (separator && reader->json[i] == separator)
			separator = 0;
		else if (!is_space(reader->json[i]))
			return false;
	}
	return !separator;
}

/* The four digits of a \u escape; -1: not that. */
static int read_unit(const char *at, const char *end)
{
	int unit = 0;

	if (end - at < 4)
		return -1;
	for (unsigned i = 0; i < 4; i++) {
		int digit = text_hex_digit(at[i]);

		if (digit < 0)
			return -1;
		unit = unit * 16 + digit;
	}
	return unit;
}

static void append_utf8(struct text *text, u32 c)
{
	if (c < 0x80) {
		text_append_char(text, (char)c);
	} else if (c < 0x800) {
		text_append_char(text, (char)(0xc0 | c >> 6));
		text_append_char(text, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		text_append_char(text, (char)(0xe0 | c >> 12));
		text_append_char(text, (char)(0x80 | (c >> 6 & 0x3f)));
		text_append_char(text, (char)(0x80 | (c & 0x3f)));
	} else {
		text_append_char(text, (char)(0xf0 | c >> 18));
		text_append_char(text, (char)(0x80 | (c >> 12 & 0x3f)));
		text_append_char(text, (char)(0x80 | (c >> 6 & 0x3f)));
		text_append_char(text, (char)(0x80 | (c & 0x3f)));
	}
}

/* *at is behind "\u". A surrogate needs its other half; NUL is no text. */
static bool unescape_unicode(struct text *text, const char **at, const char *end)
{
	int unit = read_unit(*at, end), low;
	u32 c;

	if (unit <= 0 || (unit >= 0xdc00 && unit < 0xe000))
		return false;
	*at += 4;
	c = (u32)unit;
	if (unit >= 0xd800 && unit < 0xdc00) {
		if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
			return false;
		low = read_unit(*at + 2, end);
		if (low < 0xdc00 || low >= 0xe000)
			return false;
		*at += 6;
		c = 0x10000 + ((u32)(unit - 0xd800) << 10) + (u32)(low - 0xdc00);
	}
	append_utf8(text, c);
	return true;
}

static bool unescape(struct text *text, const char **at, const char *end)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char c;

	if (*at == end)
		return false;
	c = *(*at)++;
	if (c == 'u')
		return unescape_unicode(text, at, end);
	for (unsigned i = 0; from[i]; i++) {
		if (from[i] == c) {
			text_append_char(text, to[i]);
			return true;
		}
	}
	return false;
}

/* A string token's text into buffer; false: bad escape, control character or too long. */
static bool read_string(
	const struct reader *reader, const jsmntok_t *token, char *buffer, size_t capacity)
{
	const char *at = reader->json + token->start, *end = reader->json + token->end;
	struct text text;

	text_init(&text, buffer, capacity);
	while (at < end) {
		char c = *at++;

		if ((u8)c < 0x20)
			return false;
		if (c != '\\')
			text_append_char(&text, c);
		else if (!unescape(&text, &at, end))
			return false;
	}
	return !text.truncated;
}

/* A primitive token, or any other short one, as it stands. */
static bool read_bare(
	const struct reader *reader, const jsmntok_t *token, char *buffer, size_t capacity)
{
	size_t length = (size_t)(token->end - token->start);

	if (length >= capacity)
		return false;
	memcpy(buffer, reader->json + token->start, length);
	buffer[length] = 0;
	return true;
}

static bool is_integer(const char *text)
{
	if (*text == '-')
		text++;
	if (!*text || (*text == '0' && text[1]))
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
	}
	return true;
}

/* Reads a value into reader->value if its JSON type is right for the field. NULL, or what it should have been. */
static const char *read_value(
	struct reader *reader, const struct config_field *field, const jsmntok_t *token)
{
	char *value = reader->value;
	bool is_string = token->type == JSMN_STRING &&
		read_string(reader, token, value, sizeof(reader->value));
	bool is_bare = token->type == JSMN_PRIMITIVE &&
		read_bare(reader, token, value, sizeof(reader->value));

	switch (field->kind) {
	case CONFIG_TEXT:
		return is_string ? NULL : "expected a string for";
	case CONFIG_SIZE:
		return is_string || (is_bare && is_integer(value))
			? NULL
			: "expected a size (\"512M\" or bytes) for";
	case CONFIG_LIST:
		return is_string && value[0] ? NULL : "expected a list of strings for";
	case CONFIG_NUMBER:
	case CONFIG_DESCRIPTOR:
		return is_bare && is_integer(value) ? NULL : "expected a number for";
	case CONFIG_FLAG:
		return is_bare && (text_equal(value, "true") || text_equal(value, "false"))
			? NULL
			: "expected true or false for";
	}
	return "unexpected value for";
}

/* A string's quotes are not part of its token. */
static size_t token_start(const jsmntok_t *token)
{
	return (size_t)token->start - (token->type == JSMN_STRING);
}

static size_t token_end(const jsmntok_t *token)
{
	return (size_t)token->end + (token->type == JSMN_STRING);
}

/* One plain value: the field's, or one of its list. */
static enum status read_plain(struct reader *reader, struct machine_config *config,
	const struct config_field *field, const jsmntok_t *value)
{
	const char *expected = read_value(reader, field, value);
	struct error reason;

	if (expected)
		return fail(reader, (size_t)value->start, expected, field->name);
	if (config_set(config, field, reader->value, &reason) != STATUS_OK)
		return fail(reader, (size_t)value->start, "bad value for", field->name);
	return STATUS_OK;
}

/* A list of one may be written without its brackets. The list's elements are the tokens behind it. */
static enum status read_list(struct reader *reader, struct machine_config *config,
	const struct config_field *field, const jsmntok_t *list)
{
	size_t behind = (size_t)list->start + 1;
	enum status status = STATUS_OK;

	if (list->type != JSMN_ARRAY)
		return read_plain(reader, config, field, list);
	for (int i = 0; status == STATUS_OK && i < list->size; i++) {
		const jsmntok_t *element = &list[1 + i];

		if (element->size || !gap_is(reader, behind, token_start(element), i ? ',' : 0))
			return fail(reader, (size_t)element->start,
				"expected a list of strings for", field->name);
		status = read_plain(reader, config, field, element);
		behind = token_end(element);
	}
	if (status == STATUS_OK && !gap_is(reader, behind, (size_t)list->end - 1, 0))
		return fail(reader, behind, "misplaced punctuation in", field->name);
	return status;
}

/* A list may be called by its option's name or in the plural: disk, disks. */
static const struct config_field *find_field(char *name, enum config_audience audience)
{
	const struct config_field *field = config_field_find(name, audience);
	size_t length = text_length(name);

	if (field && !text_equal(field->name, name))
		return NULL;
	if (field || !length || name[length - 1] != 's')
		return field;
	name[length - 1] = 0;
	field = config_field_find(name, audience);
	if (field && (field->kind != CONFIG_LIST || !text_equal(field->name, name)))
		field = NULL;
	name[length - 1] = 's';
	return field;
}

static enum status read_field(struct reader *reader, struct machine_config *config,
	const jsmntok_t *key, const jsmntok_t *value, enum config_audience audience, u64 *seen)
{
	const struct config_field *field;
	char name[64];

	if (key->type != JSMN_STRING || !read_string(reader, key, name, sizeof(name)))
		return fail(reader, (size_t)key->start, "not a field's name", "");
	field = find_field(name, audience);
	if (!field)
		return fail(reader, (size_t)key->start, "unknown field", name);
	if (*seen >> (field - config_fields) & 1)
		return fail(reader, (size_t)key->start, "there already is a field", name);
	*seen |= (u64)1 << (field - config_fields);
	return field->kind == CONFIG_LIST ? read_list(reader, config, field, value)
					  : read_plain(reader, config, field, value);
}

_Static_assert(sizeof(struct machine_config) < 40960, "a description is too large for the stack");

static enum status read_fields(struct reader *reader, struct machine_config *config,
	const jsmntok_t *tokens, int count, enum config_audience audience)
{
	size_t behind = (size_t)tokens[0].start + 1;
	u64 seen = 0;

	for (int i = 1, next; i < count; i = next) {
		const jsmntok_t *key = &tokens[i], *value = &tokens[i + 1];
		enum status status;
		bool is_list = i + 1 < count && value->type == JSMN_ARRAY;

		next = i + 2 + (is_list ? value->size : 0);
		if (next > count || key->size != 1 || (value->size && !is_list))
			return fail(
				reader, (size_t)key->start, "not a field and a plain value", "");
		if (!gap_is(reader, behind, token_start(key), i > 1 ? ',' : 0) ||
			!gap_is(reader, token_end(key), token_start(value), ':'))
			return fail(reader, (size_t)key->start, "misplaced punctuation", "");
		status = read_field(reader, config, key, value, audience, &seen);
		if (status != STATUS_OK)
			return status;
		behind = token_end(value);
	}
	if (!gap_is(reader, behind, (size_t)tokens[0].end - 1, 0))
		return fail(reader, behind, "misplaced punctuation", "");
	return STATUS_OK;
}

enum status config_read_part(struct machine_config *config, const char *json, size_t bytes,
	unsigned line, enum config_audience audience, struct error *error)
{
	struct reader reader = {.json = json, .bytes = bytes, .line = line, .error = error};
	jsmntok_t tokens[TOKENS_MAX];
	jsmn_parser parser;
	int count;

	if (bytes > CONFIG_JSON_BYTES_MAX)
		return error_set(error, STATUS_INVALID,
			"the description is too long: at most %u bytes", CONFIG_JSON_BYTES_MAX);
	jsmn_init(&parser);
	count = jsmn_parse(&parser, json, bytes, tokens, TOKENS_MAX);
	if (count == JSMN_ERROR_NOMEM)
		return fail(&reader, parser.pos, "too many fields", "");
	if (count == JSMN_ERROR_PART)
		return fail(&reader, bytes, "the description ends too early", "");
	if (count < 0)
		return fail(&reader, parser.pos, "not JSON", "");
	/* jsmn stops at a NUL as at the end. */
	if (count < 1 || tokens[0].type != JSMN_OBJECT ||
		!gap_is(&reader, 0, (size_t)tokens[0].start, 0) ||
		!gap_is(&reader, (size_t)tokens[0].end, bytes, 0))
		return fail(&reader, count < 1 ? 0 : (size_t)tokens[0].end,
			"expected one object { }, and nothing else", "");
	return read_fields(&reader, config, tokens, count, audience);
}

enum status config_read(struct machine_config *config, const char *json, size_t bytes,
	enum config_audience audience, struct error *error)
{
	return config_read_part(config, json, bytes, 1, audience, error);
}

void config_write_string(struct text *text, const char *value)
{
	text_append_char(text, '"');
	for (; *value; value++) {
		u8 c = (u8)*value;

		if (c == '"' || c == '\\') {
			text_append_char(text, '\\');
			text_append_char(text, (char)c);
		} else if (c < 0x20) {
			text_format(text, "\\u%04x", c);
		} else {
			text_append_char(text, (char)c);
		}
	}
	text_append_char(text, '"');
}

static void write_list(struct text *text, const char *list)
{
	char one[4200];
	const char *separator = "[";

	while (config_list_next(&list, one, sizeof(one))) {
		text_append(text, separator);
		config_write_string(text, one);
		separator = ", ";
	}
	text_append(text, separator[0] == '[' ? "[]" : "]");
}

static void write_value(struct text *text, const struct config_field *field, const void *from)
{
	switch (field->kind) {
	case CONFIG_TEXT:
		config_write_string(text, from);
		break;
	case CONFIG_LIST:
		write_list(text, from);
		break;
	case CONFIG_SIZE:
		text_format(text, "%llu", (unsigned long long)*(const u64 *)from);
		break;
	case CONFIG_NUMBER:
		text_format(text, "%u", *(const u32 *)from);
		break;
	case CONFIG_FLAG:
		text_append(text, *(const bool *)from ? "true" : "false");
		break;
	case CONFIG_DESCRIPTOR:
		text_format(text, "%d", *(const i32 *)from);
		break;
	}
}

static size_t value_bytes(const struct config_field *field, const void *value)
{
	switch (field->kind) {
	case CONFIG_TEXT:
	case CONFIG_LIST:
		return text_length(value) + 1;
	case CONFIG_SIZE:
		return sizeof(u64);
	case CONFIG_FLAG:
		return sizeof(bool);
	case CONFIG_NUMBER:
	case CONFIG_DESCRIPTOR:
		return sizeof(u32);
	}
	return 0;
}

enum status config_write(
	const struct machine_config *config, enum config_audience audience, struct text *text)
{
	struct machine_config defaults;
	const char *separator = "{\n\t";

	config_init(&defaults);
	for (unsigned i = 0; i < config_field_count; i++) {
		const struct config_field *field = &config_fields[i];
		const char *value = (const char *)config + field->offset;
		const char *fallback = (const char *)&defaults + field->offset;

		if (!(field->audience & audience) ||
			!memcmp(value, fallback,
				MIN(value_bytes(field, value), value_bytes(field, fallback))))
			continue;
		text_append(text, separator);
		config_write_string(text, field->name);
		text_append(text, ": ");
		write_value(text, field, value);
		separator = ",\n\t";
	}
	text_append(text, separator[0] == '{' ? "{}\n" : "\n}\n");
	return text->truncated ? STATUS_TOO_BIG : STATUS_OK;
}
