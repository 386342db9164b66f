/* SPDX-License-Identifier: MIT */
/*
 * Saved state, declared once, field by field, in tables that save, load, print and diff walk. A table describes one struct;
 * what is not in its table is derived, and rebuilt by `loaded`.
 *
 * The saved form is little-endian: what no load may change (the processor's model, the kind of clock), then sections (object name, table name, version, bytes), each with fields (name, element size,
 * count, data). Load wants exactly the fields of its table: an unknown, missing or ill-sized one is an error that names it.
 */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include "base/list.h"
#include "base/status.h"
#include "base/text.h"
#include "base/types.h"

struct machine;

enum state_kind {
	STATE_UNSIGNED, /* count elements of size 1, 2, 4 or 8 */
	STATE_BYTES,	/* size bytes, uninterpreted */
	STATE_BOOL,	/* count elements of size 1, 0 or 1 */
	STATE_EVENT,	/* a struct event: saved as its deadline, set again when loaded */
};

struct state_field {
	const char *name;
	enum state_kind kind;
	u32 offset, size, count;
};

struct state_table {
	const char *name;
	u32 version;
	const struct state_field *fields;
	u32 field_count;
	/*
	 * After all fields are loaded: checks what a hostile file may hold (indices, sizes: false refuses it), and rebuilds
	 * what is derived. NULL: nothing to do.
	 */
	bool (*loaded)(void *object);
};

#define STATE_FIELD_SIZE(type, member) sizeof(((type *)0)->member)
#define STATE_UINT(type, member)                                                                   \
	{                                                                                          \
#member, STATE_UNSIGNED, offsetof(type, member), STATE_FIELD_SIZE(type, member), 1 \
	}
#define STATE_FLAG(type, member)                                  \
	{                                                         \
#member, STATE_BOOL, offsetof(type, member), 1, 1 \
	}
#define STATE_ARRAY(type, member)                                                          \
	{                                                                                  \
#member, STATE_UNSIGNED, offsetof(type, member),                           \
			STATE_FIELD_SIZE(type, member[0]),                                 \
			STATE_FIELD_SIZE(type, member) / STATE_FIELD_SIZE(type, member[0]) \
	}
/* A struct made of u64 only, as an array of them. */
#define STATE_WORDS(type, member)                                   \
	{                                                           \
#member, STATE_UNSIGNED, offsetof(type, member), 8, \
			STATE_FIELD_SIZE(type, member) / 8          \
	}
#define STATE_BLOB(type, member)                                                                \
	{                                                                                       \
#member, STATE_BYTES, offsetof(type, member), STATE_FIELD_SIZE(type, member), 1 \
	}
#define STATE_TIMER(type, member)                                  \
	{                                                          \
#member, STATE_EVENT, offsetof(type, member), 8, 1 \
	}
#define STATE_TABLE(table_name, table_version, field_array, loaded_function)         \
	{                                                                            \
		.name = table_name, .version = table_version, .fields = field_array, \
		.field_count = ARRAY_SIZE(field_array), .loaded = loaded_function    \
	}

/* One object with state; listed with the machine in the order of attachment. */
struct state_object {
	struct list link;
	const char *name; /* unique in the machine: "serial0", "vcpu0" */
	const struct state_table *table;
	void *object;
};

void state_register(struct machine *machine, struct state_object *object, const char *name,
	const struct state_table *table, void *owner);

/* Where saved bytes go to and come from. Functions return false on failure, which ends the operation with STATUS_IO. */
struct state_sink {
	bool (*write)(void *context, const void *from, u64 bytes);
	void *context;
};
struct state_source {
	bool (*read)(void *context, void *to, u64 bytes);
	void *context;
};

/* The machine must be stopped. RAM is saved as the pages that are not zero. */
enum status state_save(struct machine *machine, const struct state_sink *sink) must_use;
/* Into a machine of the same description, just created. After a failure it must not be run. */
enum status state_load(
	struct machine *machine, const struct state_source *source, struct error *error) must_use;
/* One object's fields, a line each. */
void state_print(const struct state_object *object, struct text *text);
/*
 * The differences between two machines, a line each, RAM pages included; their count (lines stop when text is full).
 */
u64 state_diff(struct machine *a, struct machine *b, struct text *text);

#endif
