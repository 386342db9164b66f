/* SPDX-License-Identifier: MIT */
#include "control/linux/json.h"

#include <stdio.h>

void json_print_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		if ((unsigned char)*text >= 0x20)
			putchar(*text);
		else
			printf("\\u%04x", (unsigned)*text);
	}
	putchar('"');
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
