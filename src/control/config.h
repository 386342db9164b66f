/* SPDX-License-Identifier: MIT */
/*
 * The machine description: one struct, one list (config.def), and its forms: options, JSON, help. Freestanding; the JSON is read
 * through jsmn. The reader is strict: an unknown, doubled or ill-typed field is an error that names its line.
 */
#ifndef CONTROL_CONFIG_H
#define CONTROL_CONFIG_H

#include "base/status.h"
#include "base/text.h"
#include "base/types.h"

/* The largest description that config_read takes, and that config_write makes. */
#define CONFIG_JSON_BYTES_MAX (64 * 1024)

#define TEXT(name, bytes, ...) char name[bytes];
#define SIZE(name, ...) u64 name;
#define NUMBER(name, ...) u32 name;
#define FLAG(name, ...) bool name;
#define DESCRIPTOR(name, ...) i32 name;
#define LIST(name, bytes, ...) char name[bytes];
struct machine_config {
#include "control/config.def"
};
#undef TEXT
#undef SIZE
#undef NUMBER
#undef FLAG
#undef DESCRIPTOR
#undef LIST

enum config_kind {
	CONFIG_TEXT,
	CONFIG_SIZE,
	CONFIG_NUMBER,
	CONFIG_FLAG,
	CONFIG_LIST,
	CONFIG_DESCRIPTOR
};

/* Who reads and writes a field: people's files and options, the runner's description, the registry's record of a machine. */
enum config_audience {
	CONFIG_USER = 1 << 0,
	CONFIG_RUNNER = 1 << 1,
	CONFIG_RECORD = 1 << 3,
	CONFIG_BOTH = CONFIG_USER | CONFIG_RUNNER,
	CONFIG_HIDDEN = CONFIG_BOTH | 1 << 2, /* works, but is not in the help */
};

struct config_field {
	const char *name; /* in JSON; the option has - for _ */
	enum config_kind kind;
	u32 audience;
	u32 offset,
		capacity; /* in struct machine_config; capacity of a text or list, its terminator included */
	const char *fallback; /* the default, as an option would give it */
	const char *argument; /* in the help: FILE */
	const char *help;
};

extern const struct config_field config_fields[];
extern const unsigned config_field_count;

/* May a machine be called that? At most 63 letters, digits, - _ and ., the first a letter or digit. */
bool config_name_is_good(const char *name) must_use;

/* Everything at its default. */
void config_init(struct machine_config *config);

/* By JSON name or by option name without --; NULL when there is none for that audience. */
const struct config_field *config_field_find(const char *name, enum config_audience audience);

/* Sets one field from an option's text ("" for a FLAG), or adds it to a list. STATUS_INVALID with a line for people. */
enum status config_set(struct machine_config *config, const struct config_field *field,
	const char *value, struct error *error) must_use;

/* Reads a JSON object over what config holds. After a failure config may hold some of it. */
enum status config_read(struct machine_config *config, const char *json, size_t bytes,
	enum config_audience audience, struct error *error) must_use;

/* The same of a part of a file that begins in that line, for the error's sake. */
enum status config_read_part(struct machine_config *config, const char *json, size_t bytes,
	unsigned line, enum config_audience audience, struct error *error) must_use;

/* Writes the audience's fields that are not at their default, as a JSON object. STATUS_TOO_BIG: text is full. */
enum status config_write(const struct machine_config *config, enum config_audience audience,
	struct text *text) must_use;

/* A string as JSON has it (RFC 8259, 7), quotes included. */
void config_write_string(struct text *text, const char *value);

/*
 * What one field alone cannot say: ranges, known names. STATUS_INVALID: not a value of that field (usage);
 * STATUS_UNSUPPORTED: a good one that this build does not do yet.
 */
enum status config_check(const struct machine_config *config, struct error *error) must_use;

/*
 * Walks a list: *at, at first the list itself, is moved behind the next text, of which a copy goes to `text`. False: there is none, or
 * (which config_check refuses) it is too long.
 */
bool config_list_next(const char **at, char *text, size_t capacity) must_use;

/* Is `what` among what --trace asks for? */
bool config_trace_has(const struct machine_config *config, const char *what) must_use;

/* "512M", "2G", "4096", "64K": bytes. False: no such size, or past 64 bits. */
bool config_parse_size(const char *text, u64 *bytes) must_use;

#endif
