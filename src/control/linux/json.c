/* SPDX-License-Identifier: MIT */
#include "control/linux/json.h"

#include <stdio.h>

#include "base/text.h"
#include "control/config.h"

#define STRING_BYTES_MAX 4200 /* a path, a line of text */

void json_print_string(const char *string)
{
	char buffer[6 * STRING_BYTES_MAX]; /* an escape has up to six characters */
	struct text text;

	text_init(&text, buffer, sizeof(buffer));
	config_write_string(&text, string);
	fputs(buffer, stdout);
}

void json_begin(struct json_object *object)
{
	object->has_fields = false;
	putchar('{');
}

void json_end(struct json_object *object)
{
	putchar('}');
}

static void begin_field(struct json_object *object, const char *name)
{
	printf("%s\"%s\": ", object->has_fields ? ", " : "", name);
	object->has_fields = true;
}

void json_field_text(struct json_object *object, const char *name, const char *value)
{
	begin_field(object, name);
	json_print_string(value);
}

void json_field_number(struct json_object *object, const char *name, u64 value)
{
	begin_field(object, name);
	printf("%llu", (unsigned long long)value);
}

void json_field_flag(struct json_object *object, const char *name, bool value)
{
	begin_field(object, name);
	printf("%s", value ? "true" : "false");
}

void json_field_seconds(struct json_object *object, const char *name, u64 ns)
{
	begin_field(object, name);
	printf("%llu.%03llu", (unsigned long long)(ns / 1000000000),
		(unsigned long long)(ns / 1000000 % 1000));
}
