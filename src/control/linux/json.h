/* SPDX-License-Identifier: MIT */
/* JSON on stdout: RFC 8259. */
#ifndef CONTROL_LINUX_JSON_H
#define CONTROL_LINUX_JSON_H

#include "base/types.h"

void json_print_string(const char *string);

/* Fields of one object, each with the comma before it where there is one. */
struct json_object {
	bool has_fields;
};
void json_begin(struct json_object *object);
void json_end(struct json_object *object);
void json_field_text(struct json_object *object, const char *name, const char *value);
void json_field_number(struct json_object *object, const char *name, u64 value);
void json_field_flag(struct json_object *object, const char *name, bool value);
/* Nanoseconds as seconds. */
void json_field_seconds(struct json_object *object, const char *name, u64 ns);

#endif
